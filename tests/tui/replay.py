"""A daemon that answers as one did when it was recorded, and the terminal interface in front of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from textual.pilot import Pilot

from kwhost.tui.api import AsyncClient
from kwhost.tui.app import KwhostApp
from tests.patience import SECONDS
from tests.tui.histories import add_histories

__all__ = ["SOCKET", "Hands", "Replay", "interface", "load", "play", "wait_for"]

# Relative, as it stands on the screen: tests change to a directory of their own.
SOCKET = Path("kwhost.sock")

_MESSAGES_IN_A_ROW = 6

Transcript = dict[str, Any]
Query = dict[str, list[str]]


def load(name: str) -> Transcript:
    """A recording of tests.tui.record, with what takes too long to record."""
    found: Transcript = json.loads((Path(__file__).parent / "transcripts" / f"{name}.json").read_text())
    add_histories(found)
    return found


async def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Poll until it holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


class Hands(Pilot[None]):
    """Presses a key once the one before has done all it does. Textual's own takes a busy machine, where the
    process has to wait for its turn, for an idle program."""

    async def press(self, *keys: str) -> None:
        """One after the other."""
        for key in keys:
            await super().press(key)
            await self._settle()

    async def pause(self, delay: float | None = None) -> None:
        """Until everything has had its turn."""
        await self._settle()
        await super().pause(delay)

    async def _settle(self) -> None:
        """A message leads to others: from a widget to its screen, the program, a new screen, its widgets."""
        for _ in range(_MESSAGES_IN_A_ROW):
            await self._wait_for_screen()


class Replay:
    """`asked` are the requests that came, as "METHOD PATH?QUERY" with their body; what changes something
    is answered as `changes` says for "METHOD PATH", with {} otherwise. Statistics are sent when the test
    says so."""

    def __init__(self, transcript: Transcript, path: Path = SOCKET) -> None:
        self.answers: dict[str, Any] = transcript["answers"]
        self.streams: dict[str, list[Any]] = transcript["streams"]
        self.path = path
        self.changes: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self._stats: list[asyncio.StreamWriter] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._stats.clear()
        await self._server.wait_closed()

    @property
    def followed(self) -> int:
        """How many clients want statistics."""
        return len(self._stats)

    def send_stats(self, event: Any) -> None:
        """A second has gone by."""
        for writer in self._stats:
            writer.write(_chunk(_event(event)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            length = next(
                int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")
            )
            body = (await reader.readexactly(length)).decode()
            method, target, _ = head[0].split(" ")
            self.asked.append((f"{method} {target}", body))
            path, _, query = target.partition("?")
            await self._answer(method, path, parse_qs(query), writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a stream is open until the test ends, and its client may have gone
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _answer(self, method: str, path: str, query: Query, writer: asyncio.StreamWriter) -> None:
        instance = query.get("instance", [""])[0]
        if path not in self.streams:
            answer = self.answers.get(path, {"error": {"kind": "not-found", "message": f"no {path}"}})
            if instance and path in self.answers:
                answer = [entry for entry in answer if entry["instance"] == instance]
            found = method != "GET" or path in self.answers
            content = json.dumps(
                answer if method == "GET" else self.changes.get(f"{method} {path}", {})
            ).encode()
            status = b"200 OK" if found else b"404 Not Found"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content))
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if path == "/v1/stats":
            self._stats.append(writer)
        else:
            for event in _behind(self.streams[path], query.get("after", [""])[0]):
                if not instance or event["data"]["instance"] == instance:
                    writer.write(_chunk(_event(event)))
            if "follow" not in query:
                writer.write(_chunk(b""))
                await writer.drain()
                return
        await asyncio.Event().wait()


def _behind(events: list[Any], place: str) -> list[Any]:
    """Those that follow the one with this id; all without."""
    places = [event["id"] for event in events]
    return events[places.index(place) + 1 :] if place in places else events


def _event(event: Any) -> bytes:
    number = f"id: {event['id']}\n" if event["id"] is not None else ""
    return f"event: {event['name']}\n{number}data: {json.dumps(event['data'])}\n\n".encode()


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


@asynccontextmanager
async def interface(
    transcript: Transcript,
    *,
    size: tuple[int, int] = (100, 30),
    others: dict[str, Path] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[KwhostApp, Hands, Replay]]:
    """The program, once all that was recorded is on the screen; the time stands still."""
    replay = Replay(transcript)
    await replay.start()
    seconds = iter(range(1_000_000))
    app = KwhostApp(
        {str(SOCKET): AsyncClient(SOCKET)}
        | {name: AsyncClient(path) for name, path in (others or {}).items()},
        clock=lambda: float(transcript["time"]),
        monotonic=lambda: float(next(seconds)),
        **options,
    )
    app.animation_level = "none"  # a picture of something that moves is another each time
    try:
        async with app.run_test(size=size):
            pilot = Hands(app)
            await wait_for(lambda: replay.followed and app.host.fleet.rows(), "connection")
            for number, event in enumerate(replay.streams["/v1/stats"]):
                replay.send_stats(event)
                await wait_for(lambda number=number: app.measured > number, "statistics")  # type: ignore[misc]
            await pilot.pause()
            yield app, pilot, replay
    finally:
        await replay.stop()


def play(test: Callable[[], Awaitable[None]]) -> None:
    """Textual's loop is asyncio's, the other tests' is trio's."""

    async def run() -> None:
        await test()

    asyncio.run(run())
