"""Which ends are followed by a restart, and after how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.model.definition import Restart
from kwhost.core.model.status import EndReason
from kwhost.core.supervise.restart import CRASH_LOOP_FROM, STABLE_SECONDS, RestartPlan, plan_restart

codes = st.none() | st.integers(0, 255)
reasons = st.sampled_from(EndReason)
unwanted = reasons.filter(lambda reason: reason is not EndReason.STOPPED)
short = st.floats(0, STABLE_SECONDS, exclude_max=True)
long = st.floats(STABLE_SECONDS, 1e9)
counts = st.integers(0, 10_000)
LONGEST = 60.0


def plan(policy: Restart, reason: EndReason, code: int | None, ran: float, count: int) -> RestartPlan | None:
    return plan_restart(policy, reason, code, ran=ran, short_runs=count)


@given(reasons, codes, st.floats(0, 1e9), counts)
def test_without_a_policy_nothing_follows(
    reason: EndReason, code: int | None, ran: float, count: int
) -> None:
    assert plan(Restart.NO, reason, code, ran, count) is None


@given(st.sampled_from(Restart), codes, st.floats(0, 1e9), counts)
def test_what_was_stopped_stays_so(policy: Restart, code: int | None, ran: float, count: int) -> None:
    assert plan(policy, EndReason.STOPPED, code, ran, count) is None


@given(unwanted, codes, st.floats(0, 1e9), counts)
def test_always_follows_every_other_end(reason: EndReason, code: int | None, ran: float, count: int) -> None:
    assert plan(Restart.ALWAYS, reason, code, ran, count)


@given(unwanted, codes, st.floats(0, 1e9), counts)
def test_on_failure_follows_all_but_success(
    reason: EndReason, code: int | None, ran: float, count: int
) -> None:
    went_well = reason is EndReason.EXITED and code == 0

    assert (plan(Restart.ON_FAILURE, reason, code, ran, count) is None) == went_well


@given(short, counts)
def test_each_short_run_counts_and_waits_no_less(ran: float, count: int) -> None:
    now = plan(Restart.ALWAYS, EndReason.EXITED, 1, ran, count)
    assert now
    then = plan(Restart.ALWAYS, EndReason.EXITED, 1, ran, now.short_runs)
    assert then

    assert then.short_runs == now.short_runs + 1 == count + 2
    assert 0 < now.delay <= then.delay <= LONGEST


@given(long, counts)
def test_a_long_run_is_forgiven(ran: float, count: int) -> None:
    found = plan(Restart.ALWAYS, EndReason.EXITED, 1, ran, count)

    assert found == plan(Restart.ALWAYS, EndReason.EXITED, 1, ran, 0)
    assert found
    assert not found.is_crash_loop


@pytest.mark.parametrize("count", range(CRASH_LOOP_FROM + 2))
def test_several_short_runs_in_a_row_are_a_crash_loop(count: int) -> None:
    found = plan(Restart.ALWAYS, EndReason.EXITED, 1, 0.5, count)

    assert found
    assert found.is_crash_loop == (count + 1 >= CRASH_LOOP_FROM)


def test_the_first_restart_comes_soon_and_the_hundredth_late() -> None:
    first = plan(Restart.ALWAYS, EndReason.EXITED, 1, 0.5, 0)
    hundredth = plan(Restart.ALWAYS, EndReason.EXITED, 1, 0.5, 99)

    assert first
    assert hundredth
    assert first.delay < 1
    assert hundredth.delay == LONGEST
