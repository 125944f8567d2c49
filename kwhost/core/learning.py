"""Composition root of `kwhost policy learn`: a run in the foreground with everything it does noted.

May import: what core.local may, and core.local.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from kwhost.core.abi.learn_memory import LEARN_SIZE, decode_notes
from kwhost.core.config.host import HostConfig
from kwhost.core.engines.launch import new_learn_file
from kwhost.core.local import run_instance
from kwhost.core.model.instance import GuestLimits, InstanceSpec
from kwhost.core.policy.learn.policy import Learnt, learn_policy
from kwhost.core.policy.tables import find_policy

__all__ = ["LearntRun", "learn_from"]


class LearntRun(NamedTuple):
    """What was learnt, and the exit status of the program that it was learnt from."""

    learnt: Learnt
    exit_status: int
    crash: str


def learn_from(
    spec: InstanceSpec, host: HostConfig, limits: GuestLimits, policy: str, report: Callable[[str], None]
) -> LearntRun:
    """Run an instance under a policy (a built-in one, or a file's) to its end, and learn what it needs of
    that. Raises KwhostError where it does not start, or did too much to be noted."""
    in_force = find_policy(policy)
    memory = new_learn_file()
    try:
        outcome = run_instance(spec, host, limits, report, want_statistics=False, policy=policy, learn=memory)
        notes = decode_notes(os.pread(memory, LEARN_SIZE, 0))
    finally:
        os.close(memory)
    return LearntRun(learn_policy(notes, spec.argv, in_force), outcome.exit_status, outcome.crash)
