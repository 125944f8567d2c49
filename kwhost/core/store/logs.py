"""Reading what instances wrote: records in the CRI format, also while they are written and files rotate.

`2026-11-22T00:13:55.123456789Z stdout F text`; after a record with P instead of F its line goes on in the
stream's next record. The text is the instance's own and may hold anything but a line's end: whoever shows
it cleans it. What is no record, such as the end of a file whose writer was killed, is passed over.
"""

import re
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import StoreError, UsageError
from kwhost.core.store.log_files import RECORD_MAX, current_inode, open_log_files

__all__ = ["LogLine", "LogPosition", "LogQuery", "LogReader", "PlacedLine", "read_log"]

_RECORD = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z (stdout|stderr) ([PF]) (.*)", re.DOTALL)
_POSITION = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)
_SECOND = 1_000_000_000
# A file's time of change comes from a coarser clock than its records' times.
_CLOCK_GRAIN = 1.0


class LogLine(NamedTuple):
    """One record; `time_ns` since 1970. `partial`: the line goes on in the stream's next record. In `text`,
    bytes that are no UTF-8 are surrogates, as in names of files."""

    time_ns: int
    stream: str
    text: str
    partial: bool


class LogPosition(NamedTuple):
    """Behind the record of that time which ends at that offset of its file: files are renamed, and records
    stay where they are in them, also when a file's name or inode comes to mean another."""

    time_ns: int
    end: int

    def __str__(self) -> str:
        return f"{self.time_ns}-{self.end}"

    @classmethod
    def parse(cls, text: str) -> "LogPosition":
        """The opposite of `str`. Raises UsageError."""
        if not (match := _POSITION.fullmatch(text)):
            raise UsageError("this is no place in a log; take the id of one of its lines")
        return cls(int(match[1]), int(match[2]))


class PlacedLine(NamedTuple):
    """A record, and where reading goes on behind it."""

    position: LogPosition
    line: LogLine


class LogQuery(NamedTuple):
    """Which records: the last `tail` lines of those behind `after`, from `since` up to `until` (seconds since
    1970), in `streams`; None: no bound."""

    tail: int | None = None
    since: float | None = None
    until: float | None = None
    streams: tuple[str, ...] = ("stdout", "stderr")
    after: LogPosition | None = None

    def wants(self, line: LogLine) -> bool:
        """Whether it is one of these records, but for `tail` and `after`."""
        return (
            line.stream in self.streams
            and (self.since is None or line.time_ns >= self.since * _SECOND)
            and (self.until is None or line.time_ns < self.until * _SECOND)
        )


@lru_cache(maxsize=256)  # neighbouring records are of the same second
def _seconds(text: bytes) -> int:
    return int(datetime.fromisoformat(text.decode()).replace(tzinfo=UTC).timestamp())


def _parse(record: bytes) -> LogLine | None:
    if len(record) > RECORD_MAX or not (match := _RECORD.fullmatch(record)):
        return None
    try:
        time_ns = _seconds(match[1]) * _SECOND + int(match[2])
    except ValueError:  # no such day
        return None
    text = match[5].decode("utf-8", "surrogateescape")
    return LogLine(time_ns, match[3].decode(), text, match[4] == b"P")


@contextmanager
def _as_store_error(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read the log in {directory}: {error.strerror}") from error


class LogReader:
    """The records that a query means, a block at a time. It keeps files open: whoever made it closes it.

    With `follow` it goes on with what is written after it was made, across rotations; without, it ends where
    the log ended when it was made. `skipped` counts what was no record; `lost`: the log has the record before
    `after` no more, and it begins with the oldest that is left. Raises StoreError.
    """

    def __init__(self, directory: Path, query: LogQuery, *, follow: bool) -> None:
        self._directory = directory
        self._query = query
        self._follow = follow
        self.skipped = 0
        self.lost = False
        with _as_store_error(directory):
            # The first one is being read; all but the last are complete.
            self._files = deque(open_log_files(directory))
            try:
                if query.after:
                    self.lost = not self._find(query.after)
                self._pass_old_files()
                if query.tail is not None:
                    self._find_tail(query.tail)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            self._files.popleft().close()

    def read(self) -> list[LogLine]:
        """The next records; none at the end, which with `follow` is only the end for now."""
        return [placed.line for placed in self.read_placed()]

    def read_placed(self) -> list[PlacedLine]:
        """The same with their places."""
        with _as_store_error(self._directory):
            while self._files or self._open_newer():
                file = self._files[0]
                records = file.read(None if self._follow else file.size)
                if lines := self._select(records):
                    return lines
                if not records and not self._advance():
                    break
        return []

    def _select(self, records: list[tuple[int, bytes]]) -> list[PlacedLine]:
        lines = [(end, line) for end, record in records if (line := _parse(record))]
        self.skipped += len(records) - len(lines)
        wants = self._query.wants
        return [PlacedLine(LogPosition(line.time_ns, end), line) for end, line in lines if wants(line)]

    def _advance(self) -> bool:
        """At a file's end: whether there is more to read."""
        if len(self._files) == 1:
            # The one that is written to may have grown until it was renamed: then it is looked at once more.
            return self._open_newer()
        file = self._files.popleft()
        self.skipped += file.unfinished
        file.close()
        return True

    def _open_newer(self) -> bool:
        """Open the files that came after the one that was the newest so far, if there are any."""
        known = self._files[-1].inode if self._files else None
        if not self._follow or current_inode(self._directory) in (None, known):
            return False
        files = open_log_files(self._directory)
        inodes = [file.inode for file in files]
        # The newest so far may be gone already: then all that are left are newer.
        passed = inodes.index(known) + 1 if known in inodes else 0
        for file in files[:passed]:
            file.close()
        self._files.extend(files[passed:])
        return passed < len(files)

    def _pass_old_files(self) -> None:
        """Leave out what was last written before `since`."""
        while (
            self._query.since is not None
            and len(self._files) > 1
            and self._files[0].changed < self._query.since - _CLOCK_GRAIN
        ):
            self._files.popleft().close()

    def _find(self, position: LogPosition) -> bool:
        """Begin there, if the log has that place."""
        for index, file in enumerate(self._files):
            line = _parse(file.record_before(position.end))
            if line and line.time_ns == position.time_ns:
                file.seek(position.end)
                self._pass_files(index)
                return True
        return False

    def _pass_files(self, count: int) -> None:
        for _ in range(count):
            self._files.popleft().close()

    def _find_tail(self, lines: int) -> None:
        """Begin behind the end of the last line that is too many."""
        for index in reversed(range(len(self._files))):
            file = self._files[index]
            for end, record in file.read_backwards():
                if end <= file.position:
                    return
                line = _parse(record)
                if not line or line.partial or not self._query.wants(line):
                    continue
                if lines:
                    lines -= 1
                    continue
                file.seek(end)
                self._pass_files(index)
                return


def read_log(directory: Path, query: LogQuery) -> Iterator[LogLine]:
    """What there is now, oldest first. Raises StoreError."""
    with closing(LogReader(directory, query, follow=False)) as reader:
        while lines := reader.read():
            yield from lines
