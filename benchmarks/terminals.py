"""A program on a terminal of its own, and when it wrote what."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from threading import Condition, Thread
from typing import Self

from benchmarks.figures import MeasurementError

__all__ = ["Screen"]

_SECONDS = 60.0
_ROWS, _COLUMNS = 40, 140
# What was read is forgotten beyond this; nobody looks that far back.
_KEPT = 1 << 20
_BETWEEN = rb"(?:\x1b\[[0-9;]*m| )*"


class Screen:
    """Runs `command`; leaving the block ends it. `started` is when, in nanoseconds."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._written = b""
        self._forgotten = 0
        self._changed = Condition()

    def __enter__(self) -> Self:
        self._terminal, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.started = time.monotonic_ns()
        self.process = subprocess.Popen(
            self._command, stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True
        )
        os.close(other)
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._thread.join()
        os.close(self._terminal)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 1 << 16)
            except OSError:  # it has ended
                return
            with self._changed:
                self._written += data
                if len(self._written) > 2 * _KEPT:
                    self._forgotten += len(self._written) - _KEPT
                    self._written = self._written[-_KEPT:]
                self._changed.notify_all()

    def wait(self, words: str, since: int = 0) -> int:
        """When these words were there, in nanoseconds, in whatever colours; only what was written after the
        first `since` bytes counts. Raises MeasurementError where they do not come."""
        wanted = re.compile(_BETWEEN.join(map(re.escape, words.encode().split())))
        with self._changed:
            if not self._changed.wait_for(
                lambda: wanted.search(self._written, max(0, since - self._forgotten)), _SECONDS
            ):
                shown = self._written[-300:]
                raise MeasurementError(f"{self._command} did not show {words!r} but {shown!r}")
            return time.monotonic_ns()

    def press(self, key: str, shows: str) -> int:
        """How long it takes until the key has this text shown, in nanoseconds."""
        with self._changed:
            since = self._forgotten + len(self._written)
        pressed = time.monotonic_ns()
        os.write(self._terminal, key.encode())
        return self.wait(shows, since) - pressed
