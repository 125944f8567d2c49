"""Short words for what the daemon's tests ask of it through its API."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from kwhost.core.api.client import instance_path
from kwhost.core.store.logs import LogQuery, read_log
from tests.functional.hosting import Daemon, eventually

__all__ = ["act", "answer_to", "create", "kinds_of", "log_of", "remove", "supervisor_of", "wait_log"]


def create(daemon: Daemon, name: str, *command: str, start: bool = True, **fields: Any) -> Any:
    """Make an instance, and start it; its status."""
    definition = {"tenant": "default", "name": name, "command": command, **fields}
    return daemon.client.request("POST", "/v1/instances", {"start": start}, definition)


def act(daemon: Daemon, operation: str, name: str, **query: Any) -> Any:
    """`start`, `stop`, `pause` and the like; the status afterwards."""
    return daemon.client.request("POST", instance_path(name, operation), query or None)


def remove(daemon: Daemon, name: str, *, force: bool = False) -> None:
    daemon.client.request("DELETE", instance_path(name), {"force": force})


def answer_to(daemon: Daemon, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """The status and the JSON of an answer, as they come over the socket."""
    content = json.dumps(body).encode() if body else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        connection.sendall(head.encode() + content)
        with connection.makefile("rb") as file:
            header, _, answer = file.read().partition(b"\r\n\r\n")
    return int(header.split()[1]), json.loads(answer)


def kinds_of(daemon: Daemon, name: str) -> list[str]:
    """The events of an instance, oldest first."""
    events = [event.data for event in daemon.client.events("/v1/events", {"after": 0})]
    return [event["kind"] for event in events if event["name"] == name]


def log_of(daemon: Daemon, name: str) -> list[str]:
    """The lines that an instance's program has printed."""
    directory = Path(daemon.state_dir / "instances" / daemon.instance(name)["id"])
    return [line.text for line in read_log(directory, LogQuery())]


def wait_log(daemon: Daemon, name: str, lines: int) -> list[str]:
    """The lines of an instance, once there are so many."""

    def enough() -> list[str]:
        found = log_of(daemon, name)
        return found if len(found) >= lines else []

    return list(eventually(enough, f"{name}: line {lines}"))


def supervisor_of(daemon: Daemon, name: str) -> int:
    """The process that holds an instance: the parent of its first."""
    status = Path(f"/proc/{daemon.instance(name)['pid']}/status").read_text()
    parents = [line.split()[1] for line in status.splitlines() if line.startswith("PPid:")]
    assert int(parents[0]) != os.getpid()
    return int(parents[0])
