"""The steps of an instance's life."""

from collections.abc import Mapping
from types import MappingProxyType

from kwhost.core.model.status import InstanceState as S

__all__ = ["LIVE_STATES", "STARTABLE_STATES", "STEPS", "check_step"]

STEPS: Mapping[S, frozenset[S]] = MappingProxyType(
    {
        S.CREATED: frozenset({S.STARTING, S.FAILED}),
        S.STARTING: frozenset({S.RUNNING, S.FAILED, S.EXITED, S.STOPPING, S.CRASH_LOOP}),
        S.RUNNING: frozenset({S.PAUSED, S.STOPPING, S.EXITED, S.FAILED, S.CRASH_LOOP}),
        S.PAUSED: frozenset({S.RUNNING, S.STOPPING, S.EXITED, S.FAILED, S.CRASH_LOOP}),
        S.STOPPING: frozenset({S.EXITED, S.FAILED}),
        S.EXITED: frozenset({S.STARTING, S.CRASH_LOOP}),
        S.FAILED: frozenset({S.STARTING, S.CRASH_LOOP}),
        # Waits before it is started once more, after it ended soon several times.
        S.CRASH_LOOP: frozenset({S.STARTING, S.EXITED, S.FAILED}),
    }
)

# A supervising process is there, or may be.
LIVE_STATES = frozenset({S.STARTING, S.RUNNING, S.PAUSED, S.STOPPING})
STARTABLE_STATES = frozenset({S.CREATED, S.EXITED, S.FAILED, S.CRASH_LOOP})


def check_step(old: S, new: S) -> None:
    """Raise ValueError for a step that no instance ever takes."""
    if new is not old and new not in STEPS[old]:
        raise ValueError(f"an instance never goes from {old.value} to {new.value}")
