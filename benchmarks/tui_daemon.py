"""What the terminal interface is measured with: `python -m benchmarks.tui_daemon SOCKET INSTANCES`.

Answers as a daemon with so many instances would, each busy in each second; the log of each is without end,
as fast as LINES_A_SECOND or as its reader takes it.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import cycle
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any

from kwhost.core.model.daemon import DaemonInfo
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.status import Health, InstanceState, InstanceStatus, Usage

__all__ = ["FIRST_NAME", "LINES_A_SECOND", "main"]

FIRST_NAME = "worker-0"
LINES_A_SECOND = 100_000
_LINES = 1000  # of one piece
_PIECES = 20
_MEMORY = 20 << 20
_TENANT = TenantName("bench")


def _status(number: int, now: float) -> InstanceStatus:
    return InstanceStatus(
        id=InstanceId(f"{number:012x}"),
        name=InstanceName(f"worker-{number}"),
        tenant=_TENANT,
        engine="direct",
        isolation="full",
        state=InstanceState.RUNNING,
        health=Health.NONE,
        pid=number + 1000,
        image="host",
        command=("worker", str(number)),
        created=now,
        started=now,
        ended=None,
        exit_code=None,
        reason=None,
        message="",
        restarts=0,
    )


def _use(status: InstanceStatus, second: int) -> dict[str, Any]:
    number = status.pid or 0
    usage = Usage(
        cpu_seconds=second * (number % 97) / 100,
        memory=_MEMORY + number * 4096 + second * 1024,
        calls=second * number,
        refused=second * (number % 5),
        sent_bytes=second * number * 10,
        received_bytes=second * number * 100,
    )
    names = {"id": status.id, "name": status.name, "tenant": status.tenant, "state": "running"}
    return names | {"usage": asdict(usage)}


def _event(name: str, data: object, number: int | None = None) -> bytes:
    place = "" if number is None else f"id: {number}-{number}\n"
    return f"event: {name}\n{place}data: {json.dumps(data)}\n\n".encode()


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, instances: int) -> None:
        super().__init__(path, _Handler)
        now = time.time()
        info = DaemonInfo(
            version="0", pid=1, started=now, state_dir="/", run_dir="/", configuration=None, cgroups="v2",
            kvm="usable", tenants=1, instances=instances, running=instances,
        )  # fmt: skip
        self.statuses = [_status(number, now) for number in range(instances)]
        listed = [asdict(status) | {"state": "running", "health": "none"} for status in self.statuses]
        self.answers = {
            "/v1/info": json.dumps(asdict(info)).encode(),
            "/v1/instances": json.dumps(listed).encode(),
            "/v1/tenants": b"[]",
            "/v1/questions": b"[]",
        }

    def statistics(self) -> Iterator[bytes]:
        """One a second."""
        second = 0
        while True:
            yield _event("stats", [_use(status, second) for status in self.statuses])
            second += 1
            time.sleep(1)

    def lines(self) -> Iterator[bytes]:
        """A log."""
        pieces = [self._piece(first) for first in range(0, _PIECES * _LINES, _LINES)]
        due = time.monotonic()
        for piece in cycle(pieces):
            yield piece
            due = max(due + _LINES / LINES_A_SECOND, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    @staticmethod
    def _piece(first: int) -> bytes:
        piece = []
        for number in range(first, first + _LINES):
            text = f"get /item/{number} 200 of a program that writes and writes and writes"
            entry = {"time": 1e9 + number, "stream": "stdout", "text": text, "partial": False}
            piece.append(_event("line", entry, number))
        return b"".join(piece)


class _Handler(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One request."""
        request = self.rfile.readline().split()
        if len(request) < 2:  # it was killed in between
            return
        target = request[1].decode()
        while self.rfile.readline().strip():
            pass
        path = target.partition("?")[0]
        with suppress(ConnectionError):
            if path in self.server.answers:
                body = self.server.answers[path]
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            elif path == "/v1/events":
                self._stream(iter(()))
                self.request.recv(1)  # until the client goes
            elif path == "/v1/stats":
                self._stream(self.server.statistics())
            else:
                self._stream(self.server.lines())

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def main(path: str, instances: int) -> None:
    """Until it is killed."""
    with _Server(path, instances) as server:
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
