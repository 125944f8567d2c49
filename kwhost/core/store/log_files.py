"""The files of an instance's log: `log`, and what it was before, `log.1`, `log.2`, ...

`supervise` writes them, one record a line, and renames them (log.1 to log.2, then log to log.1) while they
are read. A file is therefore known by its inode, which cannot be given away as long as it is open here.
A record that the full disk cut short is taken back: only whole lines are ever passed over.
"""

import os
from collections.abc import Iterator
from itertools import accumulate, islice
from pathlib import Path

__all__ = ["RECORD_MAX", "LogFile", "current_inode", "open_log_files"]

_BLOCK = 64 * 1024
# A record is shorter: KW_LOG_TEXT_MAX bytes of text and its header.
RECORD_MAX = 32 * 1024
# A writer that rotates faster than files can be opened, so often in a row, is none of ours.
_TRIES = 1000


class LogFile:
    """One open file; reading begins at its start. `size` is what it held when it was opened."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        status = os.fstat(self._fd)
        self.inode = status.st_ino
        self.size = status.st_size
        self.changed = status.st_mtime
        self._position = 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def seek(self, offset: int) -> None:
        """Go on reading at a record's start."""
        self._position = offset

    @property
    def position(self) -> int:
        """Where the next record begins."""
        return self._position

    def record_before(self, offset: int) -> bytes:
        """The record that ends there; b"" where none does. What is too long for one is cut."""
        if offset > self.size:
            return b""
        start = max(0, offset - RECORD_MAX - 1)
        block = os.pread(self._fd, offset - start, start)
        if not block.endswith(b"\n"):
            return b""
        return block[:-1].rpartition(b"\n")[2]

    def read(self, end: int | None) -> list[tuple[int, bytes]]:
        """The next records, each with the offset of what follows it; at least one unless there is none before
        `end` (None: the file's)."""
        while True:
            size = _BLOCK if end is None else min(_BLOCK, end - self._position)
            block = os.pread(self._fd, size, self._position)
            whole = block.rfind(b"\n") + 1
            if whole:
                records = block[: whole - 1].split(b"\n")
                ends = accumulate((len(record) + 1 for record in records), initial=self._position)
                self._position += whole
                return list(zip(islice(ends, 1, None), records, strict=True))
            if len(block) > RECORD_MAX:  # no record; its end will be none either
                self._position += len(block)
            elif end is None and os.fstat(self._fd).st_size < self._position:
                self._position = 0  # the only file of a log is emptied, not renamed
            else:
                return []

    @property
    def unfinished(self) -> bool:
        """Whether the file ends inside a record, once all before it was read."""
        return os.fstat(self._fd).st_size > self._position

    def read_backwards(self) -> Iterator[tuple[int, bytes]]:
        """Each record with the offset of the next one, from the last that is complete to the first.

        What is too long for a record is cut to something that still is, so that it cannot fill the memory.
        """
        position, rest = self.size, b""
        complete = False
        while position:
            start = max(0, position - _BLOCK)
            first, *others = (os.pread(self._fd, position - start, start) + rest).split(b"\n")
            _, *ends = accumulate((len(record) + 1 for record in others), initial=start + len(first) + 1)
            for end, record in zip(reversed(ends), reversed(others), strict=True):
                if complete:
                    yield end, record
                complete = True
            position, rest = start, first[: RECORD_MAX + 1]
        if complete:
            yield len(rest) + 1, rest


def current_inode(directory: Path) -> int | None:
    """Of the file that is written to now."""
    try:
        return (directory / "log").stat().st_ino
    except FileNotFoundError:
        return None


def _open(path: Path) -> LogFile | None:
    try:
        return LogFile(path)
    except FileNotFoundError:
        return None


def _oldest_number(directory: Path) -> int:
    """0 where there is but `log`. A listing may leave out what is renamed meanwhile."""
    suffixes = [entry.name.removeprefix("log.") for entry in directory.glob("log.*")]
    return max((int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdecimal()), default=0)


def _open_once(directory: Path, oldest: int) -> list[LogFile]:
    """Up to number `oldest`, from the newest to the oldest: a file that is renamed meanwhile comes into sight
    once more, and none is passed over. Raises OSError."""
    files: list[LogFile] = []
    try:
        names = ["log", *(f"log.{number + 1}" for number in range(oldest))]
        for name in names:
            if not (file := _open(directory / name)):
                continue
            if any(file.inode == other.inode for other in files):
                file.close()
            else:
                files.append(file)
    except BaseException:
        _close_all(files)
        raise
    return files


def _close_all(files: list[LogFile]) -> None:
    for file in files:
        file.close()


def open_log_files(directory: Path) -> list[LogFile]:
    """All files, oldest first; all but the last are complete. Raises OSError.

    Where the log was rotated meanwhile it is done again: after two rotations a file that is newer than the
    first one would stand behind it.
    """
    for _ in range(_TRIES):
        oldest = _oldest_number(directory) + 1  # one more: it may be renamed meanwhile
        files = _open_once(directory, oldest)
        newest = files[0].inode if files else None
        if newest == current_inode(directory) and _oldest_number(directory) <= oldest:
            return files[::-1]
        _close_all(files)
    return _open_once(directory, _oldest_number(directory) + 1)[::-1]
