"""A command of kwhost's that takes its time: a process of its own, with this user's rights and credentials,
as if it were typed. The interface shows what it says."""

import asyncio
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from kwhost.core.errors import ApiError

__all__ = ["Errand"]

_LINE_MAX = 64 * 1024
_SAYS = "kwhost: "


class Errand:
    """`words` are those behind `kwhost`; `said` is what it said last, `command` what does the same."""

    def __init__(self, words: Sequence[str], socket: Path, begun: float) -> None:
        self.command = shlex.join(["kwhost", *words])
        self.begun = begun
        self.said = ""
        self._words = [sys.executable, "-P", "-m", "kwhost", *words, "--progress", "--host", str(socket)]
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    async def run(self) -> list[str]:
        """Until it has ended; the lines that it printed. Raises ApiError with what it failed of."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
            process = self._process = self._start(printed)
            try:
                status = await asyncio.to_thread(self._follow, process)
            finally:
                process.terminate()
            if self._cancelled:
                raise ApiError(
                    "it was ended; what has come of a pull is kept, and the next one goes on there"
                )
            if status:
                raise ApiError(self.said or f"it ended with {status}")
            printed.seek(0)
            return printed.read().splitlines()

    def _start(self, printed: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._words, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE,
            encoding="utf-8", errors="replace", start_new_session=True,
        )  # fmt: skip

    def _follow(self, process: subprocess.Popen[str]) -> int:
        with process:
            while process.stderr and (line := process.stderr.readline(_LINE_MAX)):
                self.said = line.strip().removeprefix(_SAYS)
        return process.returncode

    def cancel(self) -> None:
        """Have it end."""
        self._cancelled = True
        if self._process:
            self._process.terminate()
