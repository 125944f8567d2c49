"""The plugin: from decisions to lines that any reader of JSON understands."""

import importlib
import json
import tomllib
from pathlib import Path

import pytest
from kwhost.core.model.decisions import DecisionKind
from kwhost.testing import LoadPlugin, make_call, make_decision, make_instance, wait_until

from kwhost_audit.plugin import Audit
from kwhost_audit.verify import verify


async def written(path: Path) -> None:
    """Wait until there is a line."""
    await wait_until(lambda: path.exists() and path.read_bytes().endswith(b"\n"))


async def test_a_decision_is_a_line(load_plugin: LoadPlugin, file: Path) -> None:
    plugin = load_plugin(Audit(), "audit", path=str(file))
    instance = make_instance()
    async with plugin.serving():
        plugin.decide(make_decision(instance, lost=3))
        await written(file)

    line = json.loads(file.read_text())
    assert {key: line.pop(key) for key in ("v", "seq", "prev")} == {"v": 1, "seq": 1, "prev": "0" * 64}
    assert line == {
        "event": "decision",
        "time": 1_700_000_002.0,
        "kind": "denied",
        "tenant": "acme",
        "instance": instance.id,
        "name": "web",
        "call": {
            "name": "connect",
            "arguments": ["0x3", "0x7ffd0000", "0x10", "0x0", "0x0", "0x0"],
            "object": "192.0.2.1:443/tcp",
            "pid": 7,
        },
        "rule": {"layer": "instance", "policy": "web", "text": "ask connect"},
        "error": "EPERM",
        "by": "",
        "lost": 3,
    }


async def test_an_answer_without_a_rule_is_a_line(load_plugin: LoadPlugin, file: Path) -> None:
    plugin = load_plugin(Audit(), "audit", path=str(file))
    decision = make_decision(
        make_instance(), kind=DecisionKind.ALLOWED, rule=None, by="operator root", error=""
    )
    async with plugin.serving():
        plugin.decide(decision)
        await written(file)

    line = json.loads(file.read_text())
    assert (line["kind"], line["by"], line["rule"]) == ("allowed", "operator root", None)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ('/tmp/"}\n{"v":1,"seq":2,"event":"decision"', '/tmp/"}\n{"v":1,"seq":2,"event":"decision"'),
        ("/tmp/\x1b[2J\0\u2028\u202e", "/tmp/\x1b[2J\0\u2028\u202e"),
        (b"/tmp/\xff\xfe".decode(errors="surrogateescape"), "/tmp/\ufffd\ufffd"),
        ("/tmp/\ud800", "/tmp/\ufffd"),
        ("/" + "\U0001f4a9" * 100_000, "/" + "\U0001f4a9" * 4095),
    ],
)
async def test_whatever_a_guest_names_a_file_it_stays_inside_its_line(
    load_plugin: LoadPlugin, file: Path, path: str, kept: str
) -> None:
    plugin = load_plugin(Audit(), "audit", path=str(file))
    async with plugin.serving():
        plugin.decide(make_decision(make_instance(), call=make_call(name=path, object=path)))
        await written(file)

    data = file.read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert all(byte >= 0x20 for byte in data[:-1])
    assert json.loads(data)["call"]["object"] == kept
    assert not verify([file]).problem


async def test_a_name_that_is_no_text_is_there_in_full(load_plugin: LoadPlugin, file: Path) -> None:
    plugin, name = load_plugin(Audit(), "audit", path=str(file)), b"/tmp/\xff\xc3\xa9"
    call = make_call(object=name.decode(errors="surrogateescape"))
    async with plugin.serving():
        plugin.decide(make_decision(make_instance(), call=call))
        await written(file)

    found = json.loads(file.read_text())["call"]
    assert found["object"] == "/tmp/\ufffd\u00e9"
    assert bytes.fromhex(found["object_hex"]) == name


async def test_no_decision_is_the_plugins_failure_where_nothing_can_be_written(
    load_plugin: LoadPlugin, file: Path
) -> None:
    plugin = load_plugin(Audit(), "audit", path=str(file.parent / "missing/audit.jsonl"))
    async with plugin.serving():
        for _ in range(10):
            plugin.decide(make_decision(make_instance()))
        file.parent.joinpath("missing").mkdir()
        await wait_until(lambda: len(plugin.lines) == 2)

    assert "No such file or directory; decisions are lost until that is mended" in plugin.lines[0]
    assert "can be written again" in plugin.lines[1]


async def test_a_changed_configuration_begins_another_file(load_plugin: LoadPlugin, file: Path) -> None:
    plugin, other = load_plugin(Audit(), "audit", path=str(file)), file.with_name("other.jsonl")
    async with plugin.serving():
        plugin.decide(make_decision(make_instance()))
        await written(file)
        plugin.plugins.configure({"audit": {"path": str(other)}})
        plugin.decide(make_decision(make_instance()))
        await written(other)

    assert [len(path.read_text().splitlines()) for path in (file, other)] == [1, 1]


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"path": "audit.jsonl"}, "absolute path"),
        ({"path": "/a", "size": "1k"}, "size must be 256k or more"),
        ({"path": "/a", "size": "much"}, "no size"),
        ({"path": "/a", "keep": -1}, "`int` >= 0"),
        ({"path": "/a", "fsync": "often"}, "Invalid enum value 'often'"),
        ({"path": "/a", "fsync_interval": "1ms"}, "100ms or more"),
        ({"pth": "/a"}, "did you mean path"),
    ],
)
def test_a_wrong_configuration_is_said(
    load_plugin: LoadPlugin, section: dict[str, object], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        load_plugin(Audit(), "audit", **section)


def test_the_package_is_what_the_entry_point_says() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    entry = tomllib.loads(project.read_text())["project"]["entry-points"]["kwhost"]["audit"]
    module, _, name = entry.partition(":")
    assert isinstance(getattr(importlib.import_module(module), name), Audit)
