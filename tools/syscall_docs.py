"""Makes docs/syscalls.md from the table of system calls; with --check tells whether it is up to date."""

import re
import sys
from dataclasses import dataclass

from pages import ROOT, write_or_check

TABLE = ROOT / "kwhost/monitor/calls/table.def"
PAGE = ROOT / "docs/syscalls.md"
ROW = re.compile(r'^(CALL|REFUSE)\((\d+), (\w+), (.*?)ARGS\((.*?)\), "(.*)"\)$', re.MULTILINE)
KINDS = {
    "NONE": "",
    "INT": "number",
    "FD": "descriptor",
    "DIRFD": "directory",
    "PATH": "path",
    "STRING": "string",
    "PTR": "structure",
    "IN": "data in",
    "OUT": "data out",
    "IN32": "data in",
    "OUT32": "data out",
    "IOVEC": "vector",
    "SOCKADDR": "socket address",
    "SIGNAL": "signal",
    "FLAGS": "flags",
    "MODE": "mode",
    "PID": "process",
    "ADDRESS": "address",
    "TIME": "time",
    "SIGSET": "signal set",
    "MSGHDR": "message",
}
HEAD = """# System calls

Made by `tools/syscall_docs.py` from `kwhost/monitor/calls/table.def`; change that file.

- **served**: answered by the monitor itself.
- **brokered**: takes paths, which are resolved beneath the instance's root; `/proc` is the monitor's.
- **forwarded**: every argument is checked and translated by its kind, then the host makes the call.
- **refused**: always fails with the errno named. A number that is not listed is `ENOSYS`.

Of {total} calls {served} are served, {brokered} brokered, {forwarded} forwarded and {refused} refused.

| number | call | class | arguments | support |
|---:|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One row of the table."""

    number: int
    name: str
    treatment: str
    arguments: str
    support: str


def parse(text: str) -> list[Call]:
    """The rows of the table, by number."""
    calls = []
    for kind, number, name, middle, arguments, note in ROW.findall(text):
        words = [word.strip() for word in middle.split(",")]
        refused = kind == "REFUSE"
        names = [KINDS[argument] for argument in re.findall(r"(\w+)(?:\(\d\))?", arguments)]
        calls.append(
            Call(
                number=int(number),
                name=name,
                treatment="refused" if refused else words[0].lower(),
                arguments=", ".join(filter(None, names)),
                support=f"`{words[0]}`: {note}" if refused else note,
            )
        )
    return sorted(calls, key=lambda call: call.number)


def page(calls: list[Call]) -> str:
    """The whole document."""
    counts = {
        treatment: sum(call.treatment == treatment for call in calls)
        for treatment in ("served", "brokered", "forwarded", "refused")
    }
    rows = (
        f"| {call.number} | {call.name} | {call.treatment} | {call.arguments} | {call.support} |\n"
        for call in calls
    )
    return HEAD.format(total=len(calls), **counts) + "".join(rows)


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(parse(TABLE.read_text()))))
