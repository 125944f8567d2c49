"""Plugins' sections of the configuration."""

from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import pytest
import trio

from kwhost.core.pluginmgr.sections import SectionProblem
from kwhost.testing import FakeHost, fake_host, wait_until
from tests.unit.plugin_parts import Bench, make_plugin

__all__ = ["fake_host"]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int
    host: str = "localhost"


class Section(msgspec.Struct, frozen=True):
    path: str
    limit: Annotated[int, msgspec.Meta(ge=1)] = 10
    target: Target | None = None
    main: Target = Target(port=1)


@dataclass(frozen=True)
class Record:
    names: list[str] = field(default_factory=list)
    size: int = 3

    def __post_init__(self) -> None:
        if self.size % 2 == 0:
            raise ValueError("size must be odd")


def make_bench(kind: object) -> Bench:
    return Bench(audit=make_plugin(configuration_type=lambda: kind, admit_instance=lambda: None))


def test_a_section_becomes_an_object_of_the_plugins_type() -> None:
    bench = make_bench(Section)

    assert bench.manager.configure({"audit": {"path": "/x", "target": {"port": 2}}}) == ()
    assert bench.registry.plugins["audit"].configuration == Section(path="/x", target=Target(port=2))


def test_all_mistakes_are_told_at_once() -> None:
    problems = make_bench(Section).manager.configure(
        {"audit": {"limit": 0, "pth": "/x", "main": {"port": "x", "hots": "y"}}, "typo": {}}
    )

    assert problems == (
        SectionProblem(("typo",), "there is no plugin typo; kwhost plugin ls lists them"),
        SectionProblem(("audit", "pth"), "unknown key; did you mean path?"),
        SectionProblem(("audit", "path"), "is missing"),
        SectionProblem(("audit", "limit"), "Expected `int` >= 1"),
        SectionProblem(("audit", "main", "hots"), "unknown key; did you mean host?"),
        SectionProblem(("audit", "main", "port"), "Expected `int`, got `str`"),
    )


class Entry(msgspec.Struct, frozen=True):
    path: str
    access: str = "r"


class Tagged(msgspec.Struct, frozen=True, tag="file"):
    path: str = "/"


class Lists(msgspec.Struct, frozen=True):
    files: list[Entry] = []
    more: tuple[Entry, ...] | None = None
    named: dict[str, Entry] = {}
    grid: list[Annotated[list[Entry], msgspec.Meta(max_length=2)]] = []
    pair: tuple[int, Entry] = (0, Entry("/"))
    tagged: list[Tagged] = []


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ({"files": [{"path": "/a"}, {"path": "/b", "acces": "w"}]}, ("files", 1, "acces")),
        ({"more": [{"path": "/a", "acces": "w"}]}, ("more", 0, "acces")),
        ({"named": {"a": {"path": "/a", "acces": "w"}}}, ("named", "a", "acces")),
        ({"grid": [[{"path": "/a", "acces": "w"}]]}, ("grid", 0, 0, "acces")),
        ({"pair": [1, {"path": "/a", "acces": "w"}]}, ("pair", 1, "acces")),
    ],
)
def test_unknown_keys_are_found_in_lists_and_tables_too(
    section: dict[str, object], keys: tuple[str | int, ...]
) -> None:
    problems = make_bench(Lists).manager.configure({"audit": section})

    assert problems == (SectionProblem(("audit", *keys), "unknown key; did you mean access?"),)


def test_a_record_may_be_told_by_its_tag() -> None:
    assert make_bench(Lists).manager.configure({"audit": {"tagged": [{"type": "file", "path": "/a"}]}}) == ()


def test_a_wrong_number_of_entries_is_told_where_they_are() -> None:
    problems = make_bench(Lists).manager.configure(
        {"audit": {"grid": [[], [{"path": "/"}] * 3], "pair": [1], "files": [{"access": "r"}, 5]}}
    )

    assert [problem.keys[1:] for problem in problems] == [
        ("files", 0, "path"),
        ("files", 1),
        ("grid", 1),
        ("pair",),
    ]


def test_a_types_own_rules_are_kept() -> None:
    problems = make_bench(Record).manager.configure({"audit": {"size": 4}})

    assert problems == (SectionProblem(("audit",), "size must be odd"),)


def test_nothing_applies_where_something_is_wrong() -> None:
    bench = Bench(
        good=make_plugin(configuration_type=lambda: Record),
        bad=make_plugin(configuration_type=lambda: Record),
    )
    bench.manager.configure({"good": {"size": 5}})

    assert bench.manager.configure({"good": {"size": 7}, "bad": {"size": "x"}})
    assert bench.registry.plugins["good"].configuration == Record(size=5)


def test_a_section_for_a_plugin_without_one_is_a_mistake() -> None:
    bench = Bench(a=make_plugin(admit_instance=lambda: None))

    assert [problem.text for problem in bench.manager.configure({"a": {"x": 1}})] == [
        "this plugin has nothing to configure"
    ]


def test_an_installed_plugin_that_lacks_its_section_fails_alone() -> None:
    bench = make_bench(Section)

    assert bench.manager.configure({}) == ()
    assert bench.state("audit") == ("failed", "needs a section [plugins.audit]: audit.path: is missing")


def test_a_section_of_a_blocked_or_failed_plugin_is_no_mistake() -> None:
    bench = Bench(a=make_plugin(engines=lambda: 1, configuration_type=lambda: Record))

    assert bench.manager.configure({"a": {"size": "x"}}) == ()


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(1)])
def test_a_type_that_fails_in_its_own_code_is_told(error: BaseException) -> None:
    @dataclass
    class Broken:
        def __post_init__(self) -> None:
            raise error

    (problem,) = make_bench(Broken).manager.configure({"audit": {}})

    assert problem.text.startswith("the plugin cannot read it: ")


async def test_a_changed_section_starts_the_plugin_anew(fake_host: FakeHost) -> None:
    seen: list[int] = []

    async def serve(configuration: Record) -> None:
        seen.append(configuration.size)
        await trio.sleep_forever()

    bench = Bench(a=make_plugin(configuration_type=lambda: Record, serve=serve))
    bench.manager.configure({"a": {"size": 5}})
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.manager.serve, fake_host)
        await wait_until(lambda: seen == [5])
        bench.manager.configure({"a": {"size": 5}})
        bench.manager.configure({"a": {"size": 7}})
        await wait_until(lambda: seen == [5, 7])
        nursery.cancel_scope.cancel()

    assert bench.faults == []
