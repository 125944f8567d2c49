"""The statistics page may have been written by a hostile monitor."""

from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi
from kwhost.core.abi.statistics import decode_statistics
from kwhost.core.abi.statistics_page import STATS_SIZE, new_statistics
from kwhost.core.cli.statistics import format_statistics

HEADER = 12  # magic, version, size: what makes the rest be read at all


def test_a_new_page_says_that_nothing_ran() -> None:
    statistics = decode_statistics(new_statistics(), 1)

    assert statistics is not None
    assert statistics.start_seconds is None
    assert statistics.call_count == 0
    assert "never ran" in format_statistics(statistics)


def test_counts_are_shown_with_names() -> None:
    page = ffi.new("struct kw_stats *")
    ffi.memmove(page, new_statistics(), STATS_SIZE)
    page.first_run_ns, page.exits, page.peak_memory = 3_000_000, 7, 3 << 20
    page.calls[1].count, page.calls[1].time_ns = 4, 8000

    statistics = decode_statistics(bytes(ffi.buffer(page)), 1_000_000)

    assert statistics is not None
    assert statistics.start_seconds == 0.002
    text = format_statistics(statistics)
    assert "start time      2.0 ms" in text
    assert "peak memory     3.0 MiB" in text
    assert any(line.split() == ["4", "0", "0", "2.0", "write"] for line in text.splitlines())


def test_latencies_are_counted_by_powers_of_two() -> None:
    page = ffi.new("struct kw_stats *")
    ffi.memmove(page, new_statistics(), STATS_SIZE)
    page.calls[1].count, page.calls[2].count = 4, 1
    page.calls[1].histogram[3], page.calls[1].histogram[5] = 1, 3

    statistics = decode_statistics(bytes(ffi.buffer(page)), 1)

    assert statistics is not None
    assert [call.histogram for call in statistics.calls] == [(0, 0, 0, 1, 0, 3), ()]
    plain = decode_statistics(bytes(ffi.buffer(page)), 1, histograms=False)
    assert plain is not None
    assert [call.histogram for call in plain.calls] == [(), ()]


def test_what_the_engine_process_does_not_count_is_not_zero() -> None:
    page = ffi.new("struct kw_stats *")
    ffi.memmove(page, new_statistics(), STATS_SIZE)
    page.first_run_ns = 3_000_000
    page.calls[2].count, page.calls[2].refused = 4, 1

    statistics = decode_statistics(bytes(ffi.buffer(page)), 1_000_000, notified_only=True)

    assert statistics is not None
    assert (statistics.start_seconds, statistics.notified_count, statistics.call_count) == (0.002, 4, None)
    lines = format_statistics(statistics).splitlines()
    for what in ("system calls", "VM exits", "page faults", "processes", "threads", "peak memory"):
        (line,) = (line for line in lines if line.startswith(what))
        assert line.endswith(" n/a")
    assert any(line.startswith("notified calls  4 ") for line in lines)


@given(st.data())
def test_no_content_breaks_the_reader(data: st.DataObject) -> None:
    pattern = data.draw(st.binary(min_size=1, max_size=64))
    body = (pattern * (STATS_SIZE // len(pattern) + 1))[: STATS_SIZE - HEADER]

    statistics = decode_statistics(new_statistics()[:HEADER] + body, data.draw(st.integers(0, 2**63)))

    assert statistics is not None
    assert (statistics.peak_memory or 0) <= 1 << 50
    assert all(call.calls <= 10**15 for call in statistics.calls)
    assert format_statistics(statistics)


def test_a_foreign_page_is_none() -> None:
    assert decode_statistics(bytes(STATS_SIZE), 0) is None
    assert decode_statistics(b"", 0) is None
