"""The log as it is written: what is in it, how it rotates, and what happens when the disk does not play
along."""

import fcntl
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kwhost_audit import files
from kwhost_audit.configuration import SIZE_MIN, Configuration, Flush
from kwhost_audit.trail import Trail
from kwhost_audit.verify import verify, with_rotated

LONG = "x" * 30_000  # of such lines a file has few


class Log:
    """A trail and what it reported."""

    def __init__(self, path: Path, **keys: Any) -> None:
        self.path = path
        self.reports: list[str] = []
        configuration = Configuration(**{"path": str(path), "size": str(SIZE_MIN), **keys})
        self.trail = Trail(configuration, self.reports.append)

    def add(self, *texts: str) -> None:
        for text in texts:
            self.trail.add({"event": "test", "text": text})


@pytest.fixture
def open_log(file: Path) -> Iterator[Callable[..., Log]]:
    """Opens the log; all are closed after the test."""
    made: list[Log] = []

    def make(**keys: Any) -> Log:
        made.append(Log(file, **keys))
        return made[-1]

    yield make
    for log in made:
        log.trail.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(path: Path) -> list[str]:
    return [line.get("text", line["event"]) for line in lines(path)]


def unbroken(path: Path) -> bool:
    return not verify(with_rotated(path)).problem


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may become larger: the kernel writes what fits of a line, and then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_each_line_names_the_one_before(open_log: Callable[..., Log], file: Path) -> None:
    open_log().add("a", "b", "c")

    assert [line["seq"] for line in lines(file)] == [1, 2, 3]
    assert lines(file)[0]["prev"] == "0" * 64
    assert unbroken(file)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_restart_goes_on_with_the_chain(open_log: Callable[..., Log], file: Path) -> None:
    first = open_log()
    first.add("a")
    first.trail.close()

    open_log().add("b")

    assert [line["seq"] for line in lines(file)] == [1, 2]
    assert unbroken(file)


def test_files_rotate_by_size_and_the_oldest_goes(open_log: Callable[..., Log], file: Path) -> None:
    open_log(keep=2).add(*[f"{number}{LONG}" for number in range(40)])

    names = sorted(path.name for path in file.parent.iterdir())
    assert names == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(path.stat().st_size <= SIZE_MIN for path in file.parent.iterdir())
    found = verify(with_rotated(file))
    assert not found.problem
    assert found.first > 1
    assert found.head.seq == 40


def test_a_restart_between_two_files_goes_on_with_the_chain(open_log: Callable[..., Log], file: Path) -> None:
    first = open_log()
    first.add("a", "b")
    first.trail.close()
    file.rename(files.rotated(file, 1))

    open_log().add("c")

    assert [line["seq"] for line in lines(file)] == [3]
    assert unbroken(file)


def test_who_moves_the_file_away_gets_a_new_one(open_log: Callable[..., Log], file: Path) -> None:
    log = open_log()
    log.add("a")
    old = file.with_name("audit.jsonl-20260101")
    file.rename(old)

    log.add("b")

    assert (texts(old), texts(file)) == (["a"], ["b"])
    assert not verify([old, file]).problem


def test_what_does_not_fit_on_the_disk_is_counted_and_told(open_log: Callable[..., Log], file: Path) -> None:
    log = open_log()
    log.add("a")
    with full_disk(file.stat().st_size + 50):
        log.add("b", "c")
        assert texts(file) == ["a"]

    log.add("d")

    assert texts(file) == ["a", "lost", "d"]
    assert lines(file)[1]["count"] == 2
    assert lines(file)[1]["reason"] == "File too large"
    assert unbroken(file)
    assert [report.partition(": ")[2] or report.rpartition("; ")[2] for report in log.reports] == [
        "File too large; decisions are lost until that is mended",
        "2 decisions were lost",
    ]


def test_the_loss_is_told_without_a_further_decision(open_log: Callable[..., Log], file: Path) -> None:
    log = open_log()
    log.add("a")
    with full_disk(file.stat().st_size):
        log.add("b")
        log.trail.tend()

    log.trail.tend()

    assert texts(file) == ["a", "lost"]


def test_a_directory_that_comes_later_is_enough(open_log: Callable[..., Log], file: Path) -> None:
    away = file.parent.with_name("away")
    file.parent.rename(away)
    log = open_log()
    log.add("a")
    away.rename(file.parent)

    log.add("b")

    assert texts(file) == ["lost", "b"]
    assert unbroken(file)


def test_a_line_that_a_crash_left_unfinished_is_removed_and_that_is_told(
    open_log: Callable[..., Log], file: Path
) -> None:
    first = open_log()
    first.add("a")
    first.trail.close()
    with file.open("ab") as torn:
        torn.write(b'{"v":1,"seq":2,"pre')

    open_log().add("b")

    assert texts(file) == ["a", "repaired", "b"]
    assert lines(file)[1]["cut"] == 19
    assert unbroken(file)


def test_a_spoilt_last_line_ends_nothing_and_shows(open_log: Callable[..., Log], file: Path) -> None:
    first = open_log()
    first.add("a", "b")
    first.trail.close()
    file.write_bytes(file.read_bytes()[:-4] + b"xx}\n")

    open_log().add("c")

    assert "audit.jsonl:2 is no line of this log" in verify([file]).problem
    assert lines_after_spoilt(file) == [1]


def lines_after_spoilt(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()[2:]]


@pytest.mark.parametrize("content", ["root:x:0:0\n", "no line end", "{}\n"])
def test_another_file_is_never_spoilt(open_log: Callable[..., Log], file: Path, content: str) -> None:
    file.write_text(content)
    file.chmod(0o644)
    log = open_log()

    log.add("a")

    assert file.read_text() == content
    assert file.stat().st_mode & 0o777 == 0o644
    assert "something else than this log" in log.reports[0]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "hard link"])
def test_only_an_ordinary_file_is_written(open_log: Callable[..., Log], file: Path, kind: str) -> None:
    other = file.with_name("other")
    other.touch()
    match kind:
        case "symlink":
            file.symlink_to(other)
        case "fifo":
            os.mkfifo(file)
        case "directory":
            file.mkdir()
        case "hard link":
            file.hardlink_to(other)
    log = open_log()

    log.add("a")

    assert other.read_text() == ""
    assert len(log.reports) == 1


def test_two_writers_do_not_mix(open_log: Callable[..., Log], file: Path) -> None:
    first, second = open_log(), open_log()
    first.add("a")
    second.add("b")
    first.trail.close()
    second.add("c")

    assert texts(file) == ["a", "lost", "c"]
    assert "another process writes to it" in second.reports[0]
    assert unbroken(file)


def test_a_file_that_was_open_to_others_is_closed(open_log: Callable[..., Log], file: Path) -> None:
    file.touch(0o644)
    open_log().add("a")

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_emptied_in_its_place_gets_no_holes(open_log: Callable[..., Log], file: Path) -> None:
    log = open_log()
    log.add("a", LONG)
    os.truncate(file, 0)
    with full_disk(100):
        log.add("b")

    assert file.stat().st_size == 0


@pytest.mark.parametrize(
    ("fsync", "after_lines", "after_tending"), [("each", 2, 2), ("interval", 0, 1), ("none", 0, 0)]
)
def test_lines_are_brought_to_the_disk_as_configured(
    open_log: Callable[..., Log],
    monkeypatch: pytest.MonkeyPatch,
    fsync: str,
    after_lines: int,
    after_tending: int,
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log = open_log(fsync=Flush(fsync))

    log.add("a", "b")
    assert len(synced) == after_lines
    log.trail.tend()
    log.trail.tend()
    assert len(synced) == after_tending


def test_a_disk_that_fails_to_keep_lines_is_reported_once(
    open_log: Callable[..., Log], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    log = open_log(fsync=Flush.EACH)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        log.add("a", "b")

    assert log.reports == [f"cannot bring {file} to the disk: Input/output error"]
    assert texts(file) == ["a", "b"]


def test_other_programs_do_not_inherit_the_file(open_log: Callable[..., Log], file: Path) -> None:
    log = open_log()
    log.add("a")
    assert log.trail._file
    assert fcntl.fcntl(log.trail._file.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
