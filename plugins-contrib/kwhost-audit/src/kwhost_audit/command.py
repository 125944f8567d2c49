"""`kwhost audit-verify`: is the chain of a log unbroken?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kwhost_audit.verify import parse_head, verify, with_rotated

__all__ = ["main"]

_DESCRIPTION = """Check the chain of an audit log: exit status 0 where it is unbroken, 1 where it is not."""


def main(arguments: Sequence[str]) -> int:
    """Verify, and print what was found."""
    parser = argparse.ArgumentParser(prog="kwhost audit-verify", description=_DESCRIPTION)
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="one: with FILE.1, FILE.2 and so on before it; several: these alone, oldest first",
    )
    parser.add_argument(
        "--noted", metavar="NUMBER:HASH", help="a head that was printed earlier, which must be part of it"
    )
    options = parser.parse_args(list(arguments))
    paths = with_rotated(options.files[0]) if len(options.files) == 1 else options.files
    found = verify(paths, parse_head(options.noted) if options.noted else None)
    if found.problem:
        sys.stdout.write(f"broken: {found.problem}\n")
        return 1
    if not found.head.seq:
        sys.stdout.write("empty: there is no line\n")
        return 0
    files = "1 file" if found.files == 1 else f"{found.files} files"
    sys.stdout.write(f"unbroken: lines {found.first} to {found.head.seq} in {files}\nhead: {found.head}\n")
    if found.first > 1:
        sys.stdout.write(f"not there: lines 1 to {found.first - 1}, which were rotated away\n")
    if found.incomplete:
        sys.stdout.write("the last line has no end yet\n")
    return 0
