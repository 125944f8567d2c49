"""What a verification finds, and what it says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kwhost.core.errors import HostError, UsageError

from kwhost_audit import command
from kwhost_audit.chain import BEGIN, Head, next_line
from kwhost_audit.files import rotated


def chain(count: int, head: Head = BEGIN) -> list[bytes]:
    lines = []
    for number in range(count):
        line, head = next_line(head, {"event": "test", "number": number})
        lines.append(line)
    return lines


def change(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b'"number":2', b'"number":7')


def forge(lines: list[bytes]) -> None:
    """With a hash that is right for the line itself."""
    lines[2] = next_line(Head(2, json.loads(lines[2])["prev"]), {"event": "test", "number": 7})[0]


def remove(lines: list[bytes]) -> None:
    del lines[2]


def swap(lines: list[bytes]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


def repeat(lines: list[bytes]) -> None:
    lines.insert(2, lines[2])


def insert(lines: list[bytes]) -> None:
    lines.insert(2, b"nonsense\n")


def unfinish(lines: list[bytes]) -> None:
    lines[2] = lines[2][:-1]


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (change, ":4 does not fit line 3"),
        (forge, ":4 does not fit line 3"),
        (remove, ":3 is line 4 of the log and follows line 2"),
        (swap, ":3 is line 4 of the log and follows line 2"),
        (repeat, ":4 is line 3 of the log and follows line 3"),
        (insert, ":3 is no line of this log"),
        (unfinish, ":3 is no line of this log"),
    ],
)
def test_the_chain_breaks_where_something_was_done(
    file: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[list[bytes]], None], where: str
) -> None:
    lines = chain(5)
    damage(lines)
    file.write_bytes(b"".join(lines))

    assert command.main([str(file)]) == 1
    assert capsys.readouterr().out.startswith(f"broken: {file}{where}")


def test_an_unbroken_chain_over_files(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = chain(9)
    rotated(file, 2).write_bytes(b"".join(lines[2:4]))
    rotated(file, 1).write_bytes(b"".join(lines[4:7]))
    file.write_bytes(b"".join(lines[7:]))

    assert command.main([str(file)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "unbroken: lines 3 to 9 in 3 files"
    assert said[1].startswith("head: 9:")
    assert said[2] == "not there: lines 1 to 2, which were rotated away"

    assert command.main([str(file), "--noted", said[1].removeprefix("head: ")]) == 0


def test_a_file_that_is_missing_between_others_shows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = chain(6)
    old = file.with_name("old")
    old.write_bytes(b"".join(lines[:2]))
    file.write_bytes(b"".join(lines[4:]))

    assert command.main([str(old), str(file)]) == 1
    assert "is line 5 of the log and follows line 2" in capsys.readouterr().out


def test_a_chain_that_was_made_anew_does_not_have_what_was_noted(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"".join(chain(3)))
    command.main([str(file)])
    noted = capsys.readouterr().out.splitlines()[1].removeprefix("head: ")
    file.write_bytes(b"".join(chain(4)[1:]))  # other lines, or fewer
    assert command.main([str(file), "--noted", noted]) == 0
    capsys.readouterr()

    file.write_bytes(b"".join(chain(2)))
    assert command.main([str(file), "--noted", noted]) == 1
    assert capsys.readouterr().out == "broken: line 3 is not there as it was noted\n"


def test_a_line_that_is_being_written_is_no_break(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = chain(3)
    file.write_bytes(b"".join(lines)[:-10])

    assert command.main([str(file)]) == 0
    said = capsys.readouterr().out
    assert "lines 1 to 2" in said
    assert "the last line has no end yet" in said


def test_an_unfinished_line_before_another_file_is_a_break(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = chain(3)
    rotated(file, 1).write_bytes(lines[0] + lines[1][:-1])
    file.write_bytes(lines[2])

    assert command.main([str(file)]) == 1
    assert "the line before it has no end" in capsys.readouterr().out


def test_an_empty_log_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.touch()

    assert command.main([str(file)]) == 0
    assert capsys.readouterr().out == "empty: there is no line\n"


def test_a_first_line_has_none_before_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"".join(chain(2, Head(0, "1" * 64))))

    assert command.main([str(file)]) == 1
    assert "is the first line and names one before it" in capsys.readouterr().out


def test_a_huge_line_is_no_line(file: Path) -> None:
    file.write_bytes(b'{"v":1,"seq":1,"prev":"' + b"0" * 10**6 + b'"}\n')

    assert command.main([str(file)]) == 1


def test_what_cannot_be_read_is_said(file: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        command.main([str(file)])
    file.touch()
    with pytest.raises(UsageError, match="no head of a log"):
        command.main([str(file), "--noted", "3:xyz"])
