"""Reads the statistics page (struct kw_stats).

Monitors write it, and a monitor may have been taken over: every value is bounded, text is cleaned.
"""

from typing import Any

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.call_names import call_name
from kwhost.core.abi.messages import clean_text
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.model.statistics import CallStatistics, Crash, InstanceStatistics

__all__ = ["decode_statistics"]

_COUNT_MAX = 10**15
_TIME_MAX_NS = 10 * 365 * 86_400 * 10**9
_MEMORY_MAX = 1 << 50


def _count(value: int) -> int:
    return min(value, _COUNT_MAX)


def _seconds(nanoseconds: int) -> float:
    return min(nanoseconds, _TIME_MAX_NS) / 1e9


def _histogram(counts: Any) -> tuple[int, ...]:
    """Without the zeros at its end; each is of 32 bits, so none is too large."""
    found = ffi.unpack(counts, lib.KW_HISTOGRAM)
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def _crash(page: Any) -> Crash | None:  # a cffi structure has no static type
    if not 1 <= page.crash_signal <= 64:
        return None
    return Crash(
        signal=page.crash_signal,
        address=page.crash_address,
        instruction=page.crash_rip,
        mapping=clean_text(bytes(ffi.buffer(page.crash_mapping))),
    )


def decode_statistics(
    data: bytes, started_ns: int, *, histograms: bool = True, notified_only: bool = False
) -> InstanceStatistics | None:
    """The page's content; None when it is none of this version. `started_ns`: when the launch began.
    Without `histograms` these are empty, and it takes half the time. `notified_only`: of the engine
    `process`, whose broker writes what it was asked about and no more."""
    if len(data) != STATS_SIZE:
        return None
    page = ffi.new("struct kw_stats *")
    ffi.memmove(page, data, STATS_SIZE)
    if page.magic != lib.KW_STATS_MAGIC or page.version != lib.KW_ABI_VERSION:
        return None
    calls = tuple(
        CallStatistics(
            number=number,
            name=call_name(number),
            calls=_count(call.count),
            failed=_count(call.failed),
            refused=_count(call.refused),
            seconds=_seconds(call.time_ns),
            histogram=_histogram(call.histogram) if histograms else (),
        )
        for number, call in enumerate(page.calls)
        if call.count
    )
    ran = page.first_run_ns > started_ns

    def counted(value: int, most: int = _COUNT_MAX) -> int | None:
        return None if notified_only else min(value, most)

    return InstanceStatistics(
        start_seconds=_seconds(page.first_run_ns - started_ns) if ran else None,
        exits=counted(page.exits),
        faults=counted(page.faults),
        processes=counted(page.processes),
        threads=counted(page.threads),
        peak_memory=counted(page.peak_memory, _MEMORY_MAX),
        calls=calls,
        crash=_crash(page),
        notified_only=notified_only,
    )
