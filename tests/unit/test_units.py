"""Quantities as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import UsageError
from kwhost.core.model.units import format_bytes, format_duration, parse_bytes, parse_duration


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("4096", 4096),
        ("12b", 12),
        ("64k", 64 * 1024),
        ("64K", 64 * 1024),
        ("256M", 256 * 2**20),
        ("10MB", 10 * 2**20),
        ("10MiB", 10 * 2**20),
        ("1.5G", 3 * 2**29),
        ("2t", 2 * 2**40),
        ("1P", 2**50),
        (" 1k ", 1024),
        ("0.3k", 307),
    ],
)
def test_sizes_are_read_as_docker_reads_them(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "1,5G", "1e9", "10X", "10iB", "1.G", ".5G", "0x10", "1 G", "٣M", "9" * 5000]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="256M"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1e3", "٣s", "inf", "nan", "9" * 5000])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="30s"):
        parse_duration(text)


@given(st.integers(0, 10**15), st.sampled_from(["k", "M", "G", "T", "P"]))
def test_a_unit_is_a_power_of_1024(count: int, unit: str) -> None:
    power = "kMGTP".index(unit) + 1

    assert parse_bytes(f"{count}{unit}") == count * 1024**power
    assert parse_bytes(f"{count}{unit.lower()}iB") == parse_bytes(f"{count}{unit.upper()}b")


@given(st.text("0123456789.kMGbi -", max_size=8))
def test_any_text_is_a_size_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert parse_bytes(text) >= 0


@given(st.integers(0, 2**53))
def test_shown_sizes_are_read_back_about_the_same(count: int) -> None:
    assert parse_bytes(format_bytes(count).replace(" ", "")) == pytest.approx(count, rel=0.06)


@given(st.integers(0, 10**9).map(float) | st.integers(1, 999).map(lambda ms: ms / 1000))
def test_shown_times_are_read_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)
