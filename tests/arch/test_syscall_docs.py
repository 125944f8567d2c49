"""docs/syscalls.md and the table of calls are complete."""

import re
from pathlib import Path


def test_every_row_is_parsed(project: Path) -> None:
    table = (project / "kwhost/monitor/calls/table.def").read_text()
    rows = re.findall(r"^(?:CALL|REFUSE)\((\d+),", table, re.MULTILINE)
    documented = re.findall(r"^\| (\d+) \|", (project / "docs/syscalls.md").read_text(), re.MULTILINE)

    assert documented == sorted(rows, key=int)


def test_every_call_of_the_kernel_headers_is_in_the_table(project: Path) -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    table = (project / "kwhost/monitor/calls/table.def").read_text()
    rows = set(re.findall(r"^(?:CALL|REFUSE)\((\d+), (\w+),", table, re.MULTILINE))
    known = {(number, name) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}

    assert known - rows == set()
