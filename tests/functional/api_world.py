"""A served API on a real socket, with hosting in memory behind it."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from kwhost.core.api.auth import Caller, Peer
from kwhost.core.api.client import Client
from kwhost.core.api.dispatch import Dispatcher
from kwhost.core.api.http import Deadlines
from kwhost.core.api.server import ApiServer, Bounds, listen_api
from kwhost.core.model.events import AuditRecord
from tests.patience import SECONDS
from tests.unit.fake_hosting import FakeHosting

__all__ = [
    "ALICE",
    "ROOT",
    "STRANGER",
    "Answer",
    "World",
    "eventually",
    "read_answer",
    "read_until",
    "request_bytes",
    "serve_world",
]

ROOT = Caller(pid=os.getpid(), uid=0, user="root", privileged=True)
ALICE = Caller(pid=os.getpid(), uid=1001, user="alice", privileged=False)
STRANGER = Caller(pid=os.getpid(), uid=1003, user="mallory", privileged=False)


@dataclass
class Answer:
    """An answer as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"]["message"])


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so, and not for ever."""
    with trio.fail_after(SECONDS):
        while not condition():
            await trio.sleep(0.002)


@dataclass
class World:
    """What a test sees; `caller` is who connects next."""

    path: Path
    hosting: FakeHosting
    server: ApiServer
    caller: Caller = ROOT
    audit: list[AuditRecord] = field(default_factory=list)
    reports: list[Exception] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return Client(self.path)

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        return await trio.to_thread.run_sync(lambda: self.client.request(method, path, **options))

    async def connect(self) -> trio.SocketStream:
        return await trio.open_unix_socket(str(self.path))

    async def raw(self, *pieces: bytes) -> Answer:
        """One request of exactly these bytes, and its answer."""
        stream = await self.connect()
        async with stream:
            for piece in pieces:
                await stream.send_all(piece)
            return await read_answer(stream)


async def read_answer(stream: trio.SocketStream) -> Answer:
    with trio.fail_after(SECONDS):
        data = b""
        while b"\r\n\r\n" not in data:
            more = await stream.receive_some(1)
            assert more, f"hung up after {data!r}"
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            more = await stream.receive_some(length - len(body))
            assert more, "hung up within the body"
            body += more
        return Answer(int(first.split()[1]), headers, body)


async def read_until(stream: trio.SocketStream, *wanted: bytes) -> bytes:
    """Everything up to one of these texts."""
    data = b""
    with trio.fail_after(SECONDS):
        while not any(text in data for text in wanted):
            more = await stream.receive_some(65536)
            assert more, f"ended after {data[-200:]!r}"
            data += more
    return data


def request_bytes(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: kwhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serve_world(
    directory: Path, bounds: Bounds | None = None, deadlines: Deadlines | None = None
) -> AsyncIterator[World]:
    (directory / "run").mkdir()
    (directory / "srv").mkdir()
    path = directory / "run" / "api.sock"
    hosting = FakeHosting(directory)

    async def write_audit(record: AuditRecord) -> None:
        await trio.lowlevel.checkpoint()
        world.audit.append(record)

    def identify(peer: Peer) -> Caller:
        return world.caller

    def report(error: Exception) -> None:
        world.reports.append(error)

    dispatcher = Dispatcher(hosting, write_audit, report)
    server = ApiServer(
        dispatcher, bounds=bounds or Bounds(), deadlines=deadlines or Deadlines(), identify=identify
    )
    world = World(path=path, hosting=hosting, server=server)
    listener = listen_api(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, listener)
        yield world
        nursery.cancel_scope.cancel()
