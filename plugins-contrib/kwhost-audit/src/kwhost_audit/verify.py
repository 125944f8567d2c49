"""Reading a log and checking its chain."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kwhost.core.errors import HostError, UsageError

from kwhost_audit.chain import BEGIN, LINE_MAX, Head, digest, read_link
from kwhost_audit.files import read_only, rotated

__all__ = ["Findings", "parse_head", "verify", "with_rotated"]

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """`first`: the number of the first line; `head`: the last one. `problem`: where the chain breaks, ""
    where it does not. `incomplete`: the last line has no end, because it is being written or was cut."""

    files: int
    first: int
    head: Head
    problem: str
    incomplete: bool


def parse_head(text: str) -> Head:
    """Read SEQ:HASH. Raises UsageError."""
    number, _, found = text.partition(":")
    if not (number.isdecimal() and len(number) <= 18 and len(found) == 64 and _HEX.issuperset(found)):
        raise UsageError(f"{text!r} is no head of a log: write NUMBER:HASH as audit-verify prints it")
    return Head(int(number), found)


def with_rotated(path: Path) -> list[Path]:
    """The file with those that were rotated away, oldest first."""
    files = [path]
    while (older := rotated(path, len(files))).exists():
        files.append(older)
    return files[::-1]


def _lines(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every line with its newline, and where it is. Raises HostError."""
    for path in paths:
        try:
            with os.fdopen(read_only(path), "rb") as file:
                number = 0
                while line := file.readline(LINE_MAX):
                    number += 1
                    yield f"{path}:{number}", line
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error


def _problem(before: Head | None, line: bytes) -> tuple[str, Head]:
    """What is wrong with a line after another ("": nothing), and the head that it makes."""
    link = read_link(line)
    if link is None:
        return "is no line of this log", BEGIN
    head = Head(link.seq, digest(line))
    if before is None:
        wrong = link.seq == 1 and link.prev != BEGIN.hash
        return ("is the first line and names one before it" if wrong else ""), head
    if link.seq != before.seq + 1:
        return f"is line {link.seq} of the log and follows line {before.seq}", head
    if link.prev != before.hash:
        return f"does not fit line {before.seq}: one of the two, or more before, was changed", head
    return "", head


def verify(paths: Sequence[Path], noted: Head | None = None) -> Findings:
    """Check the chain over the files, oldest first, up to its first break; and that it has the line `noted`.
    Raises HostError."""
    head: Head | None = None
    first, problem, incomplete, seen = 0, "", False, noted is None
    for where, line in _lines(paths):
        if incomplete:
            problem = f"{where}: the line before it has no end"
            break
        if not line.endswith(b"\n"):
            incomplete = True
            continue
        wrong, found = _problem(head, line.removesuffix(b"\n"))
        if wrong:
            problem = f"{where} {wrong}"
            break
        first, head = first or found.seq, found
        seen = seen or found == noted
    if not problem and not seen:
        assert noted
        problem = f"line {noted.seq} is not there as it was noted"
    return Findings(files=len(paths), first=first, head=head or BEGIN, problem=problem, incomplete=incomplete)
