"""Reading logs: exactly what was written, whatever it is, and while it is written."""

import os
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.errors import StoreError, UsageError
from kwhost.core.store.logs import LogLine, LogPosition, LogQuery, LogReader, read_log
from tests.unit.log_writer import LogWriter, format_record

START = 1_732_234_435  # 2024-11-22T00:13:55Z: files that are written now are newer
SECOND = 1_000_000_000
EVERYTHING = LogQuery()


def line(number: int, text: str = "", stream: str = "stdout", *, partial: bool = False) -> LogLine:
    return LogLine((START + number) * SECOND + number, stream, text or str(number), partial)


def write(writer: LogWriter, lines: Iterable[LogLine]) -> None:
    for each in lines:
        writer.write(format_record(each))


def read(directory: Path, query: LogQuery = EVERYTHING) -> list[LogLine]:
    return list(read_log(directory, query))


texts = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").decode("utf-8", "surrogateescape"))
log_lines = st.builds(
    LogLine,
    time_ns=st.integers(START, START + 100).map(lambda seconds: seconds * SECOND + 7),
    stream=st.sampled_from(("stdout", "stderr")),
    text=texts,
    partial=st.booleans(),
)
ROTATE, LOOK, HALT, FAIL = "rotate", "look", "halt", "fail"


def test_a_record_is_read_as_it_is_documented(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(
        b"2024-11-22T00:13:55.123456789Z stdout F two  words \n"
        b"2024-11-22T00:13:56.000000001Z stderr P \xff\x1b[2J\0\r\n"
        b"2024-11-22T00:13:56.000000002Z stderr F \n"
    )

    assert read(tmp_path) == [
        LogLine(START * SECOND + 123_456_789, "stdout", "two  words ", False),
        LogLine((START + 1) * SECOND + 1, "stderr", "\udcff\x1b[2J\0\r", True),
        LogLine((START + 1) * SECOND + 2, "stderr", "", False),
    ]


@settings(deadline=None)  # files take as long as the disk does
@given(st.lists(log_lines | st.just(ROTATE) | st.sampled_from((LOOK, HALT, FAIL)), max_size=60))
def test_a_follower_sees_each_line_once(steps: list[LogLine | str]) -> None:
    """`halt`: the next record is first written in part, and looked at; `fail`: such a part is taken back."""
    with TemporaryDirectory() as place:
        writer = LogWriter(Path(place))
        reader = LogReader(Path(place), EVERYTHING, follow=True)
        seen: list[LogLine] = []
        halted = False
        for step in steps:
            if isinstance(step, LogLine):
                data = format_record(step)
                writer.write(data[:20])
                if halted:
                    seen += reader.read()
                writer.write(data[20:])
            elif step == ROTATE:
                writer.rotate()
            elif step == LOOK:
                seen += reader.read()
            elif step == FAIL:
                writer.write(b"2024-11-22T00:13:55.12345678")
                seen += reader.read()
                writer.take_back(28)
            halted = step == HALT
        while lines := reader.read():
            seen += lines
        reader.close()

    assert seen == [step for step in steps if isinstance(step, LogLine)]
    assert reader.skipped == 0


@settings(deadline=None)  # files take as long as the disk does
@given(
    st.lists(log_lines | st.just(ROTATE), max_size=60),
    st.none() | st.integers(0, 40),
    st.sampled_from([("stdout",), ("stderr",), ("stdout", "stderr")]),
    st.none() | st.integers(START, START + 100),
    st.none() | st.integers(START, START + 100),
)
def test_a_query_gives_the_lines_that_it_means(
    steps: list[LogLine | str],
    tail: int | None,
    streams: tuple[str, ...],
    since: float | None,
    until: float | None,
) -> None:
    with TemporaryDirectory() as place:
        writer = LogWriter(Path(place))
        for step in steps:
            if isinstance(step, LogLine):
                writer.write(format_record(step))
            else:
                writer.rotate()
        result = read(Path(place), LogQuery(tail=tail, since=since, until=until, streams=streams))

    wanted = [
        step
        for step in steps
        if isinstance(step, LogLine)
        and step.stream in streams
        and (since is None or step.time_ns >= since * SECOND)
        and (until is None or step.time_ns < until * SECOND)
    ]
    if tail is not None:
        ends = [0, *(index + 1 for index, each in enumerate(wanted) if not each.partial)]
        wanted = wanted[ends[-1 - min(tail, len(ends) - 1)] :]
    assert result == wanted


@settings(deadline=None)  # files take as long as the disk does
@given(st.lists(log_lines | st.just(ROTATE), max_size=30), st.data())
def test_reading_goes_on_behind_each_line_wherever_its_file_is_by_now(
    steps: list[LogLine | str], data: st.DataObject
) -> None:
    written = [step for step in steps if isinstance(step, LogLine)]
    cut = data.draw(st.integers(0, len(steps)))
    with TemporaryDirectory() as place:
        writer = LogWriter(Path(place))
        for step in steps[:cut]:
            writer.write(format_record(step)) if isinstance(step, LogLine) else writer.rotate()
        with closing(LogReader(Path(place), EVERYTHING, follow=True)) as reader:
            placed = [each for _ in steps for each in reader.read_placed()]
        for step in steps[cut:]:
            writer.write(format_record(step)) if isinstance(step, LogLine) else writer.rotate()

        for index, (position, _) in enumerate(placed):
            # Records of one nanosecond at one place of two files are told apart by nobody.
            if [each.position for each in placed].count(position) == 1:
                query = LogQuery(after=LogPosition.parse(str(position)))
                assert read(Path(place), query) == written[index + 1 :]


def test_the_last_lines_behind_a_place(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    write(writer, [line(number) for number in range(3)])
    with closing(LogReader(tmp_path, EVERYTHING, follow=False)) as reader:
        middle = reader.read_placed()[1].position

    assert read(tmp_path, LogQuery(after=middle, tail=5)) == [line(2)]
    writer.rotate()
    write(writer, [line(3)])
    assert read(tmp_path, LogQuery(after=middle, tail=1)) == [line(3)]


def test_lines_behind_a_place_may_be_old_ones(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    write(writer, [line(1)])
    with closing(LogReader(tmp_path, EVERYTHING, follow=False)) as reader:
        place = reader.read_placed()[0].position
    writer.rotate()
    write(writer, [line(50), line(51)])
    os.utime(tmp_path / "log.1", (START, START))

    query = LogQuery(after=place, since=START + 51)
    with closing(LogReader(tmp_path, query, follow=False)) as reader:
        assert not reader.lost
        assert reader.read() == [line(51)]


def test_a_place_that_is_gone_is_told(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, files=2)
    write(writer, [line(1)])
    with closing(LogReader(tmp_path, EVERYTHING, follow=False)) as reader:
        place = reader.read_placed()[0].position
    for number in (2, 3):
        writer.rotate()
        write(writer, [line(number)])

    with closing(LogReader(tmp_path, LogQuery(after=place), follow=False)) as reader:
        assert reader.lost
        assert reader.read() + reader.read() == [line(2), line(3)]


@pytest.mark.parametrize("text", ["", "1", "-1-1", "1-", "1-2-3", "1-x", "9" * 20 + "-1", "\u0661-1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no place"):
        LogPosition.parse(text)


def test_a_place_beyond_all_files_is_none(tmp_path: Path) -> None:
    write(LogWriter(tmp_path), [line(1)])

    with closing(LogReader(tmp_path, LogQuery(after=LogPosition(1, 10**18)), follow=False)) as reader:
        assert reader.lost
        assert reader.read() == [line(1)]


@settings(deadline=None)  # files take as long as the disk does
@given(st.binary(max_size=300) | st.binary(max_size=50).map(lambda data: data * 3000), st.integers(0, 3))
def test_what_is_no_record_is_passed_over(rubbish: bytes, tail: int) -> None:
    good = [line(1), line(2)]
    with TemporaryDirectory() as place:
        writer = LogWriter(Path(place))
        write(writer, good)
        writer.write(rubbish + b"\n")
        write(writer, good)

        assert read(Path(place)) == good * 2
        assert read(Path(place), LogQuery(tail=tail)) == (good * 2)[4 - tail :]


@pytest.mark.parametrize(
    "record",
    [
        b"2024-11-22T00:13:55Z stdout F no fraction",
        b"2024-13-22T00:13:55.123456789Z stdout F no such month",
        b"2024-11-22T00:13:55.123456789Z stdlog F no such stream",
        b"2024-11-22T00:13:55.123456789Z stdout X no such mark",
        b"2024-11-22T00:13:55.123456789Z stdout F " + b"x" * 40_000,
        b"\0" * 200_000,
    ],
)
def test_records_that_are_wrong_are_counted(tmp_path: Path, record: bytes) -> None:
    LogWriter(tmp_path).write(record + b"\n" + format_record(line(1)) + b"2024-11")

    reader = LogReader(tmp_path, EVERYTHING, follow=False)

    assert reader.read() == [line(1)]
    assert reader.read() == []
    assert reader.skipped == 1
    reader.close()


def test_the_longest_records_are_read(tmp_path: Path) -> None:
    lines = [line(number, "x" * 16_384, partial=number % 2 == 0) for number in range(50)]
    write(LogWriter(tmp_path), lines)

    assert read(tmp_path) == lines
    assert read(tmp_path, LogQuery(tail=10)) == lines[-20:]


def test_a_file_that_was_last_written_before_is_passed_over_unread(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    write(writer, [line(50)])
    writer.rotate()
    write(writer, [line(51)])
    os.utime(tmp_path / "log.1", (START, START))

    assert read(tmp_path, LogQuery(since=START + 0.5)) == [line(50), line(51)]
    assert read(tmp_path, LogQuery(since=START + 1.5)) == [line(51)]


def test_reading_without_following_ends_where_the_log_ended(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    write(writer, [line(1)])
    reader = LogReader(tmp_path, EVERYTHING, follow=False)
    write(writer, [line(2)])
    writer.rotate()
    write(writer, [line(3)])

    assert reader.read() == [line(1)]
    assert reader.read() == []
    reader.close()


def test_a_reader_that_is_too_slow_goes_on_with_what_is_left(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, files=2)
    write(writer, [line(0)])
    reader = LogReader(tmp_path, EVERYTHING, follow=True)
    for number in range(1, 6):
        writer.rotate()
        write(writer, [line(number)])

    seen = [each for _ in range(4) for each in reader.read()]

    assert seen == [line(0), line(4), line(5)]
    reader.close()


def test_a_log_that_does_not_exist_yet_is_empty_and_can_be_followed(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []
    reader = LogReader(tmp_path, EVERYTHING, follow=True)
    assert reader.read() == []

    write(LogWriter(tmp_path), [line(1)])

    assert reader.read() == [line(1)]
    reader.close()


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/etc/hostname")

    with pytest.raises(StoreError, match="cannot read the log"):
        read(tmp_path)


def test_readers_close_what_they_open(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    for number in range(5):
        write(writer, [line(number)])
        writer.rotate()
    before = len(os.listdir("/proc/self/fd"))

    read(tmp_path, LogQuery(tail=2, since=START))
    LogReader(tmp_path, EVERYTHING, follow=True).close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_the_only_file_of_a_log_may_be_emptied(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    write(writer, [line(1), line(2)])
    reader = LogReader(tmp_path, EVERYTHING, follow=True)
    seen = reader.read()

    os.truncate(tmp_path / "log", 0)
    write(writer, [line(3)])

    assert seen + reader.read() == [line(1), line(2), line(3)]
    reader.close()


def test_nothing_is_lost_or_repeated_under_a_writer_that_rotates_all_the_time(tmp_path: Path) -> None:
    lines = [line(number) for number in range(3000)]
    writer = LogWriter(tmp_path)
    reader = LogReader(tmp_path, EVERYTHING, follow=True)

    def write_and_rotate() -> None:
        for number in range(0, len(lines), 30):
            write(writer, lines[number : number + 30])
            writer.rotate()

    thread = threading.Thread(target=write_and_rotate)
    thread.start()
    seen: list[LogLine] = []
    while thread.is_alive():
        seen += reader.read()
    while more := reader.read():
        seen += more
    thread.join()
    reader.close()

    assert seen == lines
