"""The API for Textual's event loop (asyncio): nothing here blocks it, and everything can be cancelled."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11

from kwhost.core.api.failures import revive
from kwhost.core.api.requests import ServerEvent, encode_query
from kwhost.core.errors import ApiError
from kwhost.tui.sse import EventParser

if TYPE_CHECKING:
    from kwhost.core.api.client import Stream

__all__ = ["AsyncClient", "Query"]

_CONNECT_SECONDS = 10.0
# What is read before keys have their turn: a key needs several turns until it shows.
_PIECE = 16 * 1024
_PAUSE_SECONDS = 0.01
_ANSWER_MAX = 256 * 1024 * 1024

Query = Mapping[str, Any] | None


class _Answer:
    """What comes back on one connection."""

    def __init__(self, reader: asyncio.StreamReader, connection: h11.Connection) -> None:
        self._reader = reader
        self._connection = connection

    async def status(self) -> int:
        """Wait for the header."""
        event = await self._next()
        if not isinstance(event, h11.Response):
            raise ApiError("what answers is no kwhost daemon")
        return event.status_code

    async def body(self) -> bytes:
        """All of it."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > _ANSWER_MAX:
                raise ApiError("the daemon's answer is too large")
        return bytes(body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, everything that is there in one piece."""
        gathered = bytearray()
        while True:
            event = self._connection.next_event()
            if isinstance(event, h11.Data):
                gathered += event.data
                continue
            if gathered:
                yield bytes(gathered)
                gathered.clear()
            if isinstance(event, h11.EndOfMessage):
                return
            self._connection.receive_data(await self._reader.read(_PIECE))

    async def _next(self) -> object:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            self._connection.receive_data(await self._reader.read(_PIECE))
        return event


class AsyncClient:
    """Requests to one daemon, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def request(self, method: str, path: str, query: Query = None, body: object = None) -> Any:
        """Ask, and return the answer's JSON. Raises KwhostError."""
        async with self._ask(method, path, query, body) as answer:
            return _decode(await answer.body())

    async def events(self, path: str, query: Query = None) -> AsyncIterator[list[ServerEvent]]:
        """The events of a stream, as many at a time as have come; an event `error` is raised."""
        parser = EventParser()
        async with self._ask("GET", path, query, None) as answer:
            async for piece in answer.pieces():
                begun = time.monotonic()
                events = parser.feed(piece)
                for event in events:
                    if event.name == "error":
                        raise revive(event.data)
                if events:
                    yield events
                # Keys come first, however much there is to read: they have as much time as this took.
                await asyncio.sleep(min(_PAUSE_SECONDS, time.monotonic() - begun))

    async def upgrade(self, path: str, query: Query = None, body: object = None) -> "Stream":
        """Ask for a program's streams; the caller closes what this returns. Raises KwhostError."""
        from kwhost.core.api.client import Client  # only a console needs it

        return await asyncio.to_thread(Client(self.path).upgrade, path, query, body)

    @asynccontextmanager
    async def _ask(self, method: str, path: str, query: Query, body: object) -> AsyncIterator[_Answer]:
        """Send a request; the answer's header has come, and is one of success."""
        target = f"{path}?{encode_query(query)}" if query else path
        content = b"" if body is None else json.dumps(body).encode("ascii")
        reader, writer = await self._connect()
        try:
            connection = h11.Connection(h11.CLIENT)
            headers = [("Host", "kwhost"), ("Content-Length", str(len(content)))]
            for part in (
                h11.Request(method=method, target=target, headers=headers),
                *([h11.Data(data=content)] if content else []),
                h11.EndOfMessage(),
            ):
                writer.write(connection.send(part) or b"")
            answer = _Answer(reader, connection)
            if await answer.status() >= 400:
                raise revive(_decode(await answer.body()))
            yield answer
        except (OSError, h11.RemoteProtocolError) as error:
            text = f"the daemon on {self.path} hung up before its answer was complete"
            raise ApiError(text) from error
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_unix_connection(self.path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            text = f"no daemon runs on {self.path}; start one with kwhost up -d CONFIG"
            raise ApiError(text) from error
        except OSError as error:
            raise ApiError(f"cannot reach the daemon on {self.path}: {error}") from error


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError("what answers is no kwhost daemon") from error
