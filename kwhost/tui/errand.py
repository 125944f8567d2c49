"""A command of kwhost's that takes its time: a process of its own, with this user's rights and credentials,
as if it were typed. The interface shows what it says."""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

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
        self._words = words
        self._socket = socket
        self._process: asyncio.subprocess.Process | None = None
        self._cancelled = False

    async def run(self) -> list[str]:
        """Until it has ended; the lines that it printed. Raises ApiError with what it failed of."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "kwhost", *self._words, "--progress", "--host", str(self._socket),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=_LINE_MAX, start_new_session=True,
        )  # fmt: skip
        self._process = process
        try:
            printed, _ = await asyncio.gather(self._read(process.stdout), self._follow(process.stderr))
            status = await process.wait()
        finally:
            self._end()
            await process.wait()
        if self._cancelled:
            raise ApiError("it was ended; what has come of a pull is kept, and the next one goes on there")
        if status:
            raise ApiError(self.said or f"it ended with {status}")
        return printed.decode("utf-8", "replace").splitlines()

    async def _read(self, stream: asyncio.StreamReader | None) -> bytes:
        return await stream.read() if stream else b""

    async def _follow(self, stream: asyncio.StreamReader | None) -> None:
        while stream and (line := await stream.readline()):
            self.said = line.decode("utf-8", "replace").strip().removeprefix(_SAYS)

    def cancel(self) -> None:
        """Have it end."""
        self._cancelled = True
        self._end()

    def _end(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.terminate()
