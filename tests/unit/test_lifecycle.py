"""The steps of an instance's life: each state can be reached and left, and no other step is taken."""

import itertools

import pytest

from kwhost.core.model.status import InstanceState
from kwhost.core.supervise.lifecycle import LIVE_STATES, STARTABLE_STATES, STEPS, check_step

S = InstanceState
FORBIDDEN = [(old, new) for old, new in itertools.product(S, S) if new is not old and new not in STEPS[old]]


def test_every_state_has_its_steps() -> None:
    assert STEPS.keys() == set(S)


def test_every_state_is_reached_from_the_first() -> None:
    reached, border = {S.CREATED}, {S.CREATED}
    while border:
        border = {new for old in border for new in STEPS[old]} - reached
        reached |= border

    assert reached == set(S)


def test_nobody_goes_back_to_created() -> None:
    assert not any(S.CREATED in following for following in STEPS.values())


def test_every_instance_is_live_or_can_be_started() -> None:
    assert set(S) == LIVE_STATES | STARTABLE_STATES
    assert not LIVE_STATES & STARTABLE_STATES


@pytest.mark.parametrize("state", sorted(STARTABLE_STATES, key=str))
def test_what_can_be_started_leads_to_starting(state: InstanceState) -> None:
    check_step(state, S.STARTING)


@pytest.mark.parametrize("state", sorted(LIVE_STATES, key=str))
def test_what_is_live_can_end_at_any_time(state: InstanceState) -> None:
    check_step(state, S.EXITED)
    check_step(state, S.FAILED)


@pytest.mark.parametrize("state", [S.STARTING, S.RUNNING, S.PAUSED])
def test_what_is_live_can_be_stopped(state: InstanceState) -> None:
    check_step(state, S.STOPPING)


@pytest.mark.parametrize("state", S)
def test_a_state_may_be_taken_again(state: InstanceState) -> None:
    check_step(state, state)


@pytest.mark.parametrize(("old", "new"), FORBIDDEN, ids=lambda state: state.value)
def test_no_other_step_is_taken(old: InstanceState, new: InstanceState) -> None:
    with pytest.raises(ValueError, match=f"never goes from {old.value} to {new.value}"):
        check_step(old, new)
