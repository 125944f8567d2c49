"""The server, over real sockets: who gets the metrics, and that nobody can hold it up."""

import importlib
import stat
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from kwhost.core.errors import ApiError
from kwhost.testing import FakeHost, LoadedPlugin, LoadPlugin, make_instance

from kwhost_prometheus import command, server
from kwhost_prometheus.plugin import Prometheus

TOKEN = "0123456789abcdef0123456789abcdef"


def write_token(path: Path, content: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_token(tmp_path / "token")


async def exchange(stream: trio.SocketStream, request: str) -> tuple[int, str]:
    """Send the bytes; the status and all text of the answer, 0 where there is none."""
    with trio.fail_after(20):
        try:
            await stream.send_all(request.encode())
            data = b"".join([piece async for piece in stream])
        except trio.BrokenResourceError:
            data = b""
    text = data.decode()
    return (int(text.split()[1]) if text else 0), text


async def ask_unix(path: Path, request: str) -> tuple[int, str]:
    async with await trio.open_unix_socket(path) as stream:
        return await exchange(stream, request)


@asynccontextmanager
async def on_tcp(load_plugin: LoadPlugin, token_file: Path) -> AsyncIterator[int]:
    plugin = load_plugin(Prometheus(), "prometheus", listen="127.0.0.1:0", token_file=str(token_file))
    async with plugin.serving():
        (line,) = plugin.lines
        yield int(line.rpartition(":")[2])


async def ask_tcp(port: int, *headers: str, line: str = "GET /metrics HTTP/1.1") -> tuple[int, str]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        return await exchange(stream, "\r\n".join([line, *headers, "", ""]))


def get(path: str = "/metrics", *headers: str) -> str:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: kwhost", *headers, "", ""])


async def test_the_unix_socket_serves_the_metrics_to_owner_and_group(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    fake_host.set_instance(make_instance())
    path = fake_host.run_dir / "metrics.sock"
    async with load_plugin(Prometheus(), "prometheus").serving():
        status, text = await ask_unix(path, get())
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    assert status == 200
    assert "Content-Type: text/plain; version=0.0.4" in text
    assert 'kwhost_instance_state{name="web",state="running",tenant="acme"} 1.0' in text
    assert list(fake_host.run_dir.iterdir()) == []


async def test_the_socket_of_a_killed_daemon_is_replaced(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    path = fake_host.run_dir / "metrics.sock"
    with trio.socket.socket(trio.socket.AF_UNIX) as dead:
        await dead.bind(str(path))

    async with load_plugin(Prometheus(), "prometheus").serving():
        assert (await ask_unix(path, get()))[0] == 200


async def fault_of(plugin: LoadedPlugin) -> str:
    async with plugin.serving():
        pass
    (fault,) = plugin.faults
    plugin.faults.clear()
    return fault


async def test_a_file_in_the_way_stays(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    path = fake_host.run_dir / "metrics.sock"
    path.write_text("precious")

    fault = await fault_of(load_plugin(Prometheus(), "prometheus"))

    assert "something else than a socket" in fault
    assert path.read_text() == "precious"
    assert list(fake_host.run_dir.iterdir()) == [path]


async def test_an_unknown_group_is_said(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    fault = await fault_of(load_plugin(Prometheus(), "prometheus", group="no-such-group"))

    assert "there is no group no-such-group" in fault
    assert list(fake_host.run_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (get("/metrics?name=x"), 200),
        (get("/"), 404),
        (get("/metrics/../../etc/passwd"), 404),
        (get().replace("GET", "POST"), 405),
        (get().replace("GET", "DELETE"), 405),
        (get("/metrics", "Origin: http://evil.example"), 403),
        (get().replace("Host: kwhost\r\n", ""), 400),
        ("nonsense\r\n\r\n", 400),
        (get("/metrics", "X: " + "y" * 20_000), 431),
        ("GET /" + "x" * 100_000, 431),
    ],
)
async def test_only_the_metrics_are_there(
    load_plugin: LoadPlugin, fake_host: FakeHost, request_text: str, status: int
) -> None:
    async with load_plugin(Prometheus(), "prometheus").serving():
        path = fake_host.run_dir / "metrics.sock"
        found, _ = await ask_unix(path, request_text)
        # What was sent beyond the bound may reset the connection before the answer is read.
        assert found in ({status, 0} if status == 431 else {status})
        assert (await ask_unix(path, get()))[0] == 200


AUTHORIZED = f"Authorization: Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1:{port}", [AUTHORIZED], 200),
        ("LOCALHOST:{port}", [AUTHORIZED.replace("Bearer", "bearer")], 200),
        ("127.0.0.1:{port}", [], 401),
        ("127.0.0.1:{port}", ["Authorization: Bearer " + "0" * 32], 401),
        ("127.0.0.1:{port}", ["Authorization: Basic " + TOKEN], 401),
        ("127.0.0.1:{port}", ["Authorization: Bearer"], 401),
        ("127.0.0.1:{port}", [AUTHORIZED, AUTHORIZED], 401),
        ("127.0.0.1:{port}", ["Authorization: Bearer \u00fc"], 401),
        ("127.0.0.1", [AUTHORIZED], 403),
        ("evil.example:{port}", [AUTHORIZED], 403),
        ("127.0.0.1:{port}", [AUTHORIZED, "Origin: http://127.0.0.1"], 403),
    ],
)
async def test_an_address_needs_the_token_and_the_hosts_own_name(
    load_plugin: LoadPlugin, token_file: Path, host: str, headers: list[str], status: int
) -> None:
    async with on_tcp(load_plugin, token_file) as port:
        found, text = await ask_tcp(port, f"Host: {host.format(port=port)}", *headers)

    assert found == status
    assert ("kwhost_exporter" in text) == (status == 200)
    assert TOKEN not in text


async def test_nothing_is_told_of_paths_without_the_token(load_plugin: LoadPlugin, token_file: Path) -> None:
    async with on_tcp(load_plugin, token_file) as port:
        assert (await ask_tcp(port, f"Host: 127.0.0.1:{port}", line="GET /x HTTP/1.1"))[0] == 401


@pytest.mark.parametrize(
    ("mode", "content", "reason"),
    [(0o644, TOKEN, "open to others"), (0o600, "short", "holds no token"), (0o600, "", "holds no token")],
)
async def test_a_bad_token_file_is_said(
    load_plugin: LoadPlugin, token_file: Path, mode: int, content: str, reason: str
) -> None:
    write_token(token_file, content, mode)
    plugin = load_plugin(Prometheus(), "prometheus", listen="127.0.0.1:0", token_file=str(token_file))

    fault = await fault_of(plugin)

    assert reason in fault
    assert TOKEN not in fault


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"listen": "127.0.0.1:9464"}, "needs token_file"),
        ({"listen": "0.0.0.0:9464", "token_file": "/x"}, "loopback"),
        ({"listen": "[::]:9464", "token_file": "/x"}, "loopback"),
        ({"listen": "127.0.0.1:99999", "token_file": "/x"}, "listen must be"),
        ({"listen": "example.org:80", "token_file": "/x"}, "listen must be"),
        ({"listen": "unix:relative"}, "listen must be"),
        ({"token_file": "relative"}, "absolute"),
        ({"listn": "unix:/x"}, "did you mean listen"),
        ({"listen": 9464}, "Expected `str`"),
    ],
)
def test_a_wrong_configuration_is_said(
    load_plugin: LoadPlugin, section: dict[str, object], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        load_plugin(Prometheus(), "prometheus", **section)


async def test_silent_and_slow_clients_are_cut_off(
    load_plugin: LoadPlugin, fake_host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.1)
    path = fake_host.run_dir / "metrics.sock"
    async with load_plugin(Prometheus(), "prometheus").serving(), trio.open_nursery() as nursery:
        for begun in ("", "GET /metr"):
            nursery.start_soon(expect_hang_up, path, begun)


async def expect_hang_up(path: Path, begun: str) -> None:
    async with await trio.open_unix_socket(path) as stream:
        assert await exchange(stream, begun) == (0, "")


async def test_connections_beyond_the_bound_end_at_once_and_later_ones_are_served(
    load_plugin: LoadPlugin, fake_host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 2)
    path = fake_host.run_dir / "metrics.sock"
    async with load_plugin(Prometheus(), "prometheus").serving():
        async with await trio.open_unix_socket(path) as first, await trio.open_unix_socket(path) as second:
            await first.send_all(b"GET")
            await second.send_all(b"GET")
            assert (await ask_unix(path, get()))[0] == 0
        with trio.fail_after(20):
            while (await ask_unix(path, get()))[0] != 200:
                await trio.sleep(0.01)


async def test_the_command_prints_what_a_scrape_sees(
    load_plugin: LoadPlugin, fake_host: FakeHost, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fake_host.run_dir / "metrics.sock"
    async with load_plugin(Prometheus(), "prometheus").serving():
        assert await trio.to_thread.run_sync(command.main, ["--socket", str(path)]) == 0

    assert "kwhost_exporter_omitted_instances 0.0" in capsys.readouterr().out
    with pytest.raises(ApiError, match="does a daemon"):
        command.main(["--socket", str(path)])


def test_the_package_is_what_the_entry_point_says() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    entry = tomllib.loads(project.read_text())["project"]["entry-points"]["kwhost"]["prometheus"]
    module, _, name = entry.partition(":")
    assert isinstance(getattr(importlib.import_module(module), name), Prometheus)
