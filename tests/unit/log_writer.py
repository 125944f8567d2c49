"""Log files as `supervise` writes and rotates them."""

import os
from datetime import UTC, datetime
from pathlib import Path

from kwhost.core.store.logs import LogLine

__all__ = ["LogWriter", "format_record"]


def format_record(line: LogLine) -> bytes:
    """A record with its line's end."""
    seconds, nanoseconds = divmod(line.time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    mark = "P" if line.partial else "F"
    text = line.text.encode("utf-8", "surrogateescape")
    return f"{moment}.{nanoseconds:09}Z {line.stream} {mark} ".encode() + text + b"\n"


class LogWriter:
    """Appends to `log` in a directory; with `files`, at most so many are kept."""

    def __init__(self, directory: Path, files: int | None = None) -> None:
        self._log = directory / "log"
        self._limit = files
        self._older = 0
        self._log.touch()

    def write(self, data: bytes) -> None:
        with self._log.open("ab", buffering=0) as file:
            file.write(data)

    def take_back(self, size: int) -> None:
        os.truncate(self._log, self._log.stat().st_size - size)

    def rotate(self) -> None:
        if self._limit is None or self._older < self._limit - 1:
            self._older += 1
        for number in reversed(range(1, self._older)):
            self._log.with_name(f"log.{number}").replace(self._log.with_name(f"log.{number + 1}"))
        self._log.replace(self._log.with_name("log.1"))
        self._log.touch()
