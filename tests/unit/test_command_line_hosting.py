"""What commands that talk to a daemon understand, and what they ask it, with a daemon that only listens."""

import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kwhost.core.cli import completion, logs, operations
from kwhost.core.cli.commands import COMMANDS
from kwhost.core.cli.cp import parse_places
from kwhost.core.cli.detach import DetachKeys
from kwhost.core.cli.exposed import publish_exposed
from kwhost.core.cli.main import main
from kwhost.core.cli.operations import signal_number
from kwhost.core.cli.run import parse_run
from kwhost.core.cli.run_hosted import define
from kwhost.core.cli.times import parse_since
from kwhost.core.errors import NotFound, UsageError
from kwhost.core.model.ports import parse_port


class FakeClient:
    """Knows every instance but `nobody`, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.lines: dict[str, list[dict[str, Any]]] = {}

    def request(self, method: str, path: str, query: Any = None, body: Any = None) -> Any:
        self.asked.append((method, path, query))
        if "nobody" in path:
            raise NotFound("there is no instance 'nobody'")
        return {"id": "0123456789ab", "exit_code": 3}

    def events(self, path: str, query: Any) -> Iterator[Any]:
        from kwhost.core.api.client import ServerEvent

        for line in self.lines[path.split("/")[3]]:
            yield ServerEvent("line", line)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    fake = FakeClient()
    for module in (operations, logs):
        monkeypatch.setattr(module, "connect", lambda _: fake)
    return fake


def test_each_instance_is_done_and_errors_come_at_the_end(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stop", "-t", "1.5", "nobody", "web", "acme/db"]) == 125

    shown = capsys.readouterr()
    assert shown.out == "web\nacme/db\n"
    assert shown.err == "kwhost: there is no instance 'nobody'\n"
    assert client.asked[1:] == [
        ("POST", "/v1/instances/web/stop", {"timeout": 1.5}),
        ("POST", "/v1/instances/acme%2Fdb/stop", {"timeout": 1.5}),
    ]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["kill", "web"], ("POST", "/v1/instances/web/kill", {"signal": 9})),
        (["kill", "-s", "hup", "web"], ("POST", "/v1/instances/web/kill", {"signal": 1})),
        (["rm", "web"], ("DELETE", "/v1/instances/web", {"force": None})),
        (["rm", "-f", "web"], ("DELETE", "/v1/instances/web", {"force": True})),
        (["pause", "web"], ("POST", "/v1/instances/web/pause", {})),
        (["restart", "web"], ("POST", "/v1/instances/web/restart", {"timeout": None})),
    ],
)
def test_what_is_asked(client: FakeClient, arguments: list[str], asked: tuple[Any, ...]) -> None:
    assert main(arguments) == 0

    assert client.asked == [asked]


def test_wait_prints_exit_codes(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "web"]) == 0

    assert capsys.readouterr().out == "3\n"


def entry(time_: float, text: str, stream: str = "stdout", *, partial: bool = False) -> dict[str, Any]:
    return {"time": time_, "stream": stream, "text": text, "partial": partial}


def test_logs_keep_the_streams_apart(client: FakeClient, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    client.lines = {"web": [entry(1, "out"), entry(2, "bad \udcff", "stderr"), entry(3, "a", partial=True)]}
    client.lines["web"].append(entry(4, "b"))

    assert main(["logs", "web"]) == 0

    shown = capfdbinary.readouterr()
    assert (shown.out, shown.err) == (b"out\nab\n", b"bad \xff\n")


def test_logs_of_several_instances_are_in_the_order_of_time(
    client: FakeClient, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    client.lines = {"a": [entry(1, "one"), entry(3, "three")], "b": [entry(2, "two")]}

    assert main(["logs", "a", "nobody", "b"]) == 125

    assert capfdbinary.readouterr().out == b"a | one\nb | two\na | three\n"


@pytest.mark.parametrize(("text", "number"), [("TERM", 15), ("sigusr1", signal.SIGUSR1), ("64", 64)])
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-9", "SIG", "SIGNALS", "BLOCK", "9" * 5000, "\u0663"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(UsageError):
        signal_number(text)


def test_times_are_ages_or_dates() -> None:
    assert parse_since(None) is None
    assert parse_since("2026-11-22T10:00:00+00:00") == datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()
    assert abs(time.time() - 600 - (parse_since("10m") or 0)) < 5
    for wrong in ("soon", "2026-13-01", "", "-5"):
        with pytest.raises(UsageError):
            parse_since(wrong)


def test_which_side_of_a_copy_is_the_instances() -> None:
    out = parse_places("acme/web:/etc/x", "./a:b")
    into = parse_places("-", "web:/tmp")

    assert (out.name, out.path, out.here, out.out) == ("acme/web", "/etc/x", "./a:b", True)
    assert (into.name, into.path, into.here, into.out) == ("web", "/tmp", "-", False)
    for source, target in (("a", "b"), ("a:/x", "b:/y"), ("a:x", "b"), (":/x", "b"), ("a:/x", "")):
        with pytest.raises(UsageError):
            parse_places(source, target)


def test_detach_keys_are_found_between_others_and_across_reads() -> None:
    keys = DetachKeys()

    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"c\x10\x10") == (b"\x10c\x10", False)
    assert keys.feed(b"\x11lost") == (b"", True)


def test_what_is_the_operators_own_is_settled_before_the_daemon_sees_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "vt100")

    spec, options = parse_run(
        "-t --memory 64M --cpus 0.5 --pids 9 -v ./x:/y -v x:/z --tenant acme -d --rm sh".split()
    )
    definition = define(spec, options)

    assert [volume["source"] for volume in definition["volumes"]] == [str(tmp_path / "x"), "x"]
    assert definition["environment"] == {"TERM": "vt100"}
    assert definition["limits"] == {"memory": 64 * 2**20, "cpus": 0.5, "pids": 9, "storage": None}
    assert (definition["tenant"], definition["auto_remove"]) == ("acme", True)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])

    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert f"kwhost {name}" in shown
    assert "examples:" in shown


def test_completion_knows_every_command_and_its_options() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = completion.completion_script(shell)
        assert all(name in script for name in COMMANDS)
        assert "timestamps" in script


def test_what_an_image_exposes_gets_free_ports() -> None:
    numbers = iter(range(40_000, 50_000))
    exposed = ["80/tcp", "53/udp", "53", "8000-8001", "9/sctp", "80"]

    ports = publish_exposed(exposed, (parse_port("8080:53"),), lambda _: next(numbers))

    assert [str(port) for port in ports] == [
        "127.0.0.1:8080->53/tcp",
        "127.0.0.1:40000->80/tcp",
        "127.0.0.1:40001->53/udp",
        "127.0.0.1:40002->8000/tcp",
        "127.0.0.1:40003->8001/tcp",
    ]


def test_a_free_port_is_one_that_can_be_had() -> None:
    (port,) = publish_exposed(["80"], ())

    with socket.create_server(("127.0.0.1", port.port)):
        pass


def test_an_image_does_not_take_all_ports() -> None:
    with pytest.raises(UsageError, match="exposes more than 100 ports"):
        publish_exposed(["1-65535"] * 100_000, ())
