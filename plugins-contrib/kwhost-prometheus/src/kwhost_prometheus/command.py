"""`kwhost metrics`: what a scrape of the Unix socket sees."""

import argparse
import socket
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from kwhost.core.config.host import load_host_config
from kwhost.core.errors import ApiError

__all__ = ["fetch", "main"]

_SECONDS = 20.0


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("kwhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of an address."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(str(self._path))


def fetch(path: Path) -> str:
    """The metrics behind a Unix socket. Raises ApiError."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        raise ApiError(
            f"cannot read metrics from {path}: {error}; does a daemon with this plugin run?"
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise ApiError(f"{path} answers: {text.strip()}")
    return text


def main(arguments: Sequence[str]) -> int:
    """Print the metrics."""
    parser = argparse.ArgumentParser(
        prog="kwhost metrics", description="Print the metrics of the running daemon."
    )
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="default: metrics.sock in the run directory"
    )
    options = parser.parse_args(list(arguments))
    sys.stdout.write(fetch(options.socket or load_host_config().run_dir / "metrics.sock"))
    return 0
