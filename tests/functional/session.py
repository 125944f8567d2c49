"""A program on a terminal, typed into."""

import os
import pty
import subprocess
import termios
import time
from typing import Any

import pytest

from tests.patience import SECONDS

__all__ = ["Session"]


class Session:
    """A command on a terminal, and the operator's hands and eyes."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (30, 100))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True, **options
        )
        os.set_blocking(self.master, False)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait_for(self, text: str) -> str:
        """What is shown up to the text, which is taken away."""
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not show; shown was {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                pytest.fail(f"the terminal closed before {text!r}; shown was {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
