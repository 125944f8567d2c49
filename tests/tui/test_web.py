"""`kwhost tui --web`: a real server, and what it lets pass."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from kwhost.core.cli.tui import main
from kwhost.core.errors import HostError, UsageError
from kwhost.tui import web
from tests.tui.replay import SOCKET, Replay, load, play

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

WS = "/ws?width=100&height=30"


class Answer(NamedTuple):
    """What came over the socket."""

    status: int
    headers: http.client.HTTPMessage
    text: str


class Served(NamedTuple):
    """A server that runs, at `host`; `path` begins all of its addresses, and `token` works once."""

    host: str
    path: str
    token: str
    pid: int

    def get(self, target: str, **headers: str | bytes) -> Answer:
        with closing(http.client.HTTPConnection(self.host, timeout=20)) as connection:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())

    def enter(self) -> dict[str, str]:
        """The cookie of whoever opens the address first."""
        answer = self.get(f"{self.path}/?token={self.token}")
        assert answer.status == 303
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


@contextmanager
def serving(option: str = "--web") -> Iterator[Served]:
    command = [sys.executable, "-m", "kwhost", "tui", option, "--host", str(SOCKET)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            parts = urlsplit(process.stdout.readline().strip())
            yield Served(
                parts.netloc, parts.path.rstrip("/"), parts.query.removeprefix("token="), process.pid
            )
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture
def fresh() -> Iterator[Served]:
    """Nobody was there yet."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def entered() -> Iterator[tuple[Served, dict[str, str]]]:
    """Somebody has the cookie."""
    with serving() as served:
        yield served, served.enter()


Entered = tuple[Served, dict[str, str]]


def test_the_address_works_once_and_gives_a_cookie_for_itself_alone(fresh: Served) -> None:
    served = fresh
    first = served.get(f"{served.path}/?token={served.token}")
    second = served.get(f"{served.path}/?token={served.token}")

    cookie = first.headers["Set-Cookie"]
    assert (first.status, first.headers["Location"]) == (303, f"{served.path}/")
    assert {"HttpOnly", "SameSite=Strict", f"Path={served.path}"} <= set(cookie.split("; "))
    assert second.status == 403
    assert "Set-Cookie" not in second.headers


def test_with_the_cookie_there_is_the_page_and_all_it_needs(entered: Entered) -> None:
    served, cookie = entered

    page = served.get(f"{served.path}/", **cookie)
    text = page.text

    assert page.status == 200
    assert f"ws://{served.host}{served.path}/ws" in text
    script = re.search(r'src="(/[^"]+\.js)"', text)
    assert script
    assert served.get(script[1], **cookie).status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "://" not in text.replace(f"ws://{served.host}", "")


@pytest.mark.parametrize("target", ["/", "{path}/", "{path}/ws", "{path}/static/js/textual.js", "/nothing"])
@pytest.mark.parametrize("cookie", [None, "kwhost=guessed", b"kwhost=\xe9\xff"])
def test_without_the_cookie_there_is_nothing(
    entered: Entered, target: str, cookie: str | bytes | None
) -> None:
    served, _ = entered
    headers = {"Cookie": cookie} if cookie else {}

    answer = served.get(target.replace("{path}", served.path), Origin=f"http://{served.host}", **headers)

    assert answer.status == 403


@pytest.mark.parametrize("token", ["", "wrong", "%C3%A9"])
def test_a_wrong_token_gives_nothing_and_takes_nothing(fresh: Served, token: str) -> None:
    answer = fresh.get(f"{fresh.path}/?token={token}")

    assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
    assert fresh.enter()


OTHERS = ["attacker.example", "attacker.example:{port}", "localhost:{port}", "127.0.0.1"]


@pytest.mark.parametrize("host", OTHERS)
def test_another_host_is_refused_with_the_cookie(entered: Entered, host: str) -> None:
    served, cookie = entered
    other = host.replace("{port}", served.host.partition(":")[2])

    assert served.get(f"{served.path}/", Host=other, **cookie).status == 403


def test_another_host_is_refused_with_the_token(fresh: Served) -> None:
    assert fresh.get(f"{fresh.path}/?token={fresh.token}", Host="attacker.example").status == 403
    assert fresh.enter()


@pytest.mark.parametrize(
    "origin", ["http://attacker.example", "null", "http://127.0.0.1:1", "https://{host}"]
)
def test_pages_of_others_are_refused_everywhere(entered: Entered, origin: str) -> None:
    served, cookie = entered
    headers = cookie | {"Origin": origin.replace("{host}", served.host)}

    assert served.get(f"{served.path}/", **headers).status == 403
    headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert served.get(f"{served.path}{WS}", **headers).status == 403


def test_a_websocket_must_say_where_it_comes_from(entered: Entered) -> None:
    served, cookie = entered

    assert served.get(f"{served.path}{WS}", **cookie).status == 403


async def see(served: Served, headers: dict[str, str], wanted: bytes, *keys: str) -> bytes:
    """What a page is shown until `wanted` comes, after these keys."""
    seen = b""
    url = f"ws://{served.host}{served.path}{WS}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as page:
        async with asyncio.timeout(40):
            async for message in page:
                seen += message.data if message.type is aiohttp.WSMsgType.BINARY else b""
                if keys and b"asker" in seen:
                    for key in keys:
                        await page.send_str(json.dumps(["stdin", key]))
                    keys = ()
                if not keys and wanted in seen:
                    return seen
    return seen


@pytest.mark.parametrize(("option", "may_change"), [("--web", False), ("--web-control", True)])
def test_a_page_shows_instances_and_changes_them_only_where_that_is_asked_for(
    option: str, may_change: bool
) -> None:
    async def look(served: Served, headers: dict[str, str]) -> None:
        replay = Replay(load("busy"))
        await replay.start()
        try:
            # A key that asks for a confirmation, and one that opens the help where that is not there.
            wanted = b"Stop this" if may_change else b"keys that work here"
            seen = await see(served, headers, wanted, "x", "?")

            assert (b"read-only" in seen) != may_change
            assert (b"Stop this instance" in seen) == may_change
        finally:
            await replay.stop()

    with serving(option) as served:
        headers = served.enter() | {"Origin": f"http://{served.host}"}
        play(lambda: look(served, headers))


def test_no_more_pages_are_open_than_are_good_for_the_host() -> None:
    async def look(served: Served, headers: dict[str, str]) -> None:
        url = f"ws://{served.host}{served.path}{WS}"
        async with aiohttp.ClientSession() as session:
            pages = [await session.ws_connect(url, headers=headers) for _ in range(8)]
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await session.ws_connect(url, headers=headers)
            for page in pages:
                await page.close()

    with serving() as served:
        headers = served.enter() | {"Origin": f"http://{served.host}"}
        play(lambda: look(served, headers))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_server_that_ends_takes_its_pages_along() -> None:
    async def look(served: Served, headers: dict[str, str]) -> list[int]:
        replay = Replay(load("busy"))
        await replay.start()
        try:
            url = f"ws://{served.host}{served.path}{WS}"
            async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as page:
                await page.receive(timeout=40)
                pages = children(served.pid)
                os.kill(served.pid, signal.SIGTERM)
                async with asyncio.timeout(40):
                    while not (await page.receive()).type.name.startswith("CLOS"):
                        pass
            return pages
        finally:
            await replay.stop()

    found: list[int] = []

    async def run() -> None:
        found.extend(await look(served, headers))

    with serving() as served:
        headers = served.enter() | {"Origin": f"http://{served.host}"}
        play(run)
    assert found
    assert not [pid for pid in found if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("port", ["", "0", "x", "65536", "1e3"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="--web-port must be"):
        main(["--web", "--web-port", port, "--host", "nowhere"])


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(HostError, match=f"port {port} of 127"):
            main(["--web", "--web-port", str(port), "--host", "nowhere"])


def test_without_textual_serve_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "find_spec", lambda _: None)

    with pytest.raises(HostError, match="pip install"):
        main(["--web", "--host", "nowhere"])
