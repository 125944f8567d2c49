"""The daemon that commands talk to."""

import gc
import os
import socket
import struct
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["add_host_option", "connect", "daemon_answers", "instance_path"]

_CREDENTIALS = struct.Struct("iII")


def add_host_option(parser: ArgumentParser) -> None:
    """--host, as every command has it that talks to a daemon."""
    parser.add_argument("--host", metavar="PATH", help="the daemon's socket (or KWHOST_HOST)")


def connect(host: str | None) -> "Client":
    """The daemon at `host`, KWHOST_HOST or the configured place. Whether it is there shows with the first
    request."""
    from kwhost.core.api.client import Client, find_socket  # brings http: not for --help

    gc.enable()  # some of these commands go on for days
    return Client(find_socket(host))


def instance_path(reference: str, operation: str = "") -> str:
    """The path in the API of an instance, or of an operation on it."""
    from kwhost.core.api import client

    return client.instance_path(reference, operation)


def daemon_answers(path: Path) -> bool:
    """Whether a daemon listens there. Also where that cannot be told, and asking will give the reason."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(os.fsencode(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except OSError:
            return True
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    # What a killed daemon was about to start holds its socket for a moment; 0 is out of sight.
    pid, _, _ = _CREDENTIALS.unpack(credentials)
    return pid == 0 or Path(f"/proc/{pid}").exists()
