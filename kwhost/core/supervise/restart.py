"""Whether and when an instance that ended is started again. Pure."""

from typing import NamedTuple

from kwhost.core.model.definition import Restart
from kwhost.core.model.status import EndReason

__all__ = ["CRASH_LOOP_FROM", "STABLE_SECONDS", "RestartPlan", "plan_restart"]

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 60.0
_DOUBLINGS_MAX = 10  # more than that are beyond the longest
# Whoever ran for so long was no crash, whatever came of it.
STABLE_SECONDS = 10.0
# The state says crash-loop after so many short runs in a row.
CRASH_LOOP_FROM = 4


class RestartPlan(NamedTuple):
    """`delay` in seconds before the next start; `short_runs` is to be given to the next plan."""

    delay: float
    short_runs: int

    @property
    def is_crash_loop(self) -> bool:
        """Several runs in a row were short."""
        return self.short_runs >= CRASH_LOOP_FROM


def plan_restart(
    policy: Restart, reason: EndReason, exit_code: int | None, *, ran: float, short_runs: int
) -> RestartPlan | None:
    """The next start of an instance that ran for `ran` seconds, or None where none follows."""
    if policy is Restart.NO or reason is EndReason.STOPPED:
        return None
    if policy is Restart.ON_FAILURE and reason is EndReason.EXITED and exit_code == 0:
        return None
    short_runs = 0 if ran >= STABLE_SECONDS else short_runs + 1
    doublings = min(max(short_runs - 1, 0), _DOUBLINGS_MAX)
    delay = min(_FIRST_DELAY * 2.0**doublings, _LONGEST_DELAY)
    return RestartPlan(delay, short_runs)
