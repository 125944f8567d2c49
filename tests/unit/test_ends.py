"""How the end of a run is told, from what `supervise` left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi.exit_record import EndReason as Left
from kwhost.core.abi.exit_record import ExitRecord
from kwhost.core.model.status import EndReason
from kwhost.core.supervise.ends import End, describe_end, end_of


def left(reason: Left = Left.EXITED, status: int = 0, failed: int = 0, text: str = "") -> ExitRecord:
    return ExitRecord(
        reason=reason,
        status=status,
        failed_status=failed,
        started_ns=1,
        ended_ns=2,
        lost_log=0,
        text=text,
    )


@pytest.mark.parametrize(
    ("record", "end", "line"),
    [
        (left(status=0), End(EndReason.EXITED, 0, ""), "exit code 0"),
        (left(status=3), End(EndReason.EXITED, 3, ""), "exit code 3"),
        (left(status=256 + 9), End(EndReason.EXITED, 137, ""), "ended by signal 9"),
        (
            left(Left.MEMORY, 256 + 9, text="used 70 MiB"),
            End(EndReason.MEMORY, 137, "used 70 MiB"),
            "ended by signal 9: used 70 MiB",
        ),
        (
            left(Left.FAILED, 0, 127, "no such file"),
            End(EndReason.FAILED, 127, "no such file"),
            "no such file",
        ),
        (left(Left.FAILED, 0, 0, "odd"), End(EndReason.FAILED, 125, "odd"), "odd"),
    ],
)
def test_an_end_is_told_as_kwhost_run_would(record: ExitRecord, end: End, line: str) -> None:
    assert end_of(record) == end
    assert describe_end(end) == line


def test_without_a_record_the_instance_was_lost() -> None:
    end = end_of(None)

    assert (end.reason, end.exit_code) == (EndReason.LOST, None)
    assert describe_end(end) == "its supervising process was killed"


@given(st.sampled_from(Left), st.integers(0, 2**32 - 1), st.integers(0, 255), st.text())
def test_every_record_has_an_exit_code_and_a_line(reason: Left, status: int, failed: int, text: str) -> None:
    end = end_of(left(reason, status, failed, text))

    assert end.exit_code in range(256)
    assert describe_end(end) or not text
