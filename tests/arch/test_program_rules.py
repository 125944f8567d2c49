"""The rows about calls of programs without a monitor agree with the table of calls, and with readers."""

import re
from pathlib import Path

import pytest


def rows(project: Path, file: str, kind: str) -> list[str]:
    text = (project / "kwhost/monitor" / file).read_text()
    argument = r"\w+, " if kind == "PERFORMED" else ""
    return re.findall(rf"^{kind}\({argument}(\w+), ", text, re.MULTILINE)


def table(project: Path, kind: str) -> set[str]:
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    return set(re.findall(rf"^{kind}\(\d+, (\w+), ", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("file", "kind"),
    [("jail/program_filter.def", "REFUSED"), ("broker/performed.def", "PERFORMED")],
)
def test_the_rows_of_a_call_stand_together(project: Path, file: str, kind: str) -> None:
    names = rows(project, file, kind)
    blocks = [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    assert sorted(blocks) == sorted(set(blocks))


def test_rows_are_about_calls_that_are_there(project: Path) -> None:
    served, refused = table(project, "CALL"), table(project, "REFUSE")

    assert set(rows(project, "jail/program_filter.def", "REFUSED")) <= served
    assert set(rows(project, "jail/program_filter.def", "PASSED")) <= served
    assert set(rows(project, "jail/program_filter.def", "NATIVE")) <= refused
    assert set(rows(project, "broker/performed.def", "PERFORMED")) <= served


def test_python_knows_what_always_passes(project: Path) -> None:
    source = (project / "kwhost/core/policy/filters.py").read_text()
    named = re.search(r"_PASSED = frozenset\(\{(.*)\}\)", source)

    assert named
    assert set(re.findall(r"\w+", named[1])) == set(rows(project, "jail/program_filter.def", "PASSED"))
