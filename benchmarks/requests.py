"""Many requests to a daemon's API at once.

Without threads and a library's client, which would take processors away from what is measured.
"""

import json
import select
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.figures import MeasurementError

__all__ = ["answer_of", "ask_all", "request_text"]

_SECONDS = 120.0
_PIECE = 64 * 1024


def request_text(method: str, path: str, body: object = None) -> bytes:
    """A request on a connection of its own; `body` is sent as JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: kwhost\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + content


def answer_of(answer: bytes) -> Any:
    """What the daemon answered; a MeasurementError where that is an error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.partition(b" ")[2].startswith(b"2"):
        raise MeasurementError(f"the daemon refused: {body.decode() or head.decode()}")
    return json.loads(body)


def ask_all(api: Path, requests: Iterable[bytes]) -> list[tuple[float, float, bytes]]:
    """Send all requests at once: of each, when it was sent, when the answer was complete, and the answer, in
    the order in which they were answered."""
    answers: dict[int, tuple[socket.socket, float, bytearray]] = {}
    done: list[tuple[float, float, bytes]] = []
    poll = select.poll()
    for request in requests:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(api))
        poll.register(connection, select.POLLIN)
        answers[connection.fileno()] = connection, time.monotonic_ns(), bytearray()
        connection.sendall(request)
    while answers:
        ready = poll.poll(_SECONDS * 1000)
        if not ready:
            raise MeasurementError(f"{len(answers)} requests took longer than {_SECONDS:.0f} s")
        for fd, _ in ready:
            connection, sent, answer = answers[fd]
            if piece := connection.recv(_PIECE):
                answer += piece
                continue
            done.append((sent, time.monotonic_ns(), bytes(answer)))
            poll.unregister(fd)
            connection.close()
            del answers[fd]
    return done
