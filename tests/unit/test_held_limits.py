"""Who holds which limit: control groups, monitors, `supervise`; what nobody can hold is an error."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from kwhost.core.cgroups.limits import Missing, lacking_limits
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import Limits
from kwhost.core.model.instance import Engine, GuestLimits
from kwhost.core.supervise.held_limits import Shortage, find_shortage, guest_limits, guest_tasks
from tests.unit.fake_hosting import make_definition

LIMITS = Limits(memory=100, pids=5, memory_headroom=4.0)
NO_CGROUP = Shortage(memory="no memory controller", pids="no pids controller")


def groups(*missing: str) -> Any:
    return SimpleNamespace(
        missing=lambda limits: tuple(Missing(name, f"no {name} controller") for name in missing)
    )


def test_monitors_count_in_any_case() -> None:
    assert guest_limits(LIMITS, Shortage(), Engine.DIRECT) == GuestLimits(pids=5, memory=400)
    assert guest_limits(LIMITS, NO_CGROUP, Engine.DIRECT) == GuestLimits(pids=5, memory=400, resident=100)


def test_without_monitors_the_control_group_holds_all_there_is_to_hold() -> None:
    assert guest_limits(LIMITS, Shortage(), Engine.PROCESS) == GuestLimits()


def test_with_neither_memory_is_sampled_and_each_user_has_as_many_processes() -> None:
    assert guest_limits(LIMITS, NO_CGROUP, Engine.PROCESS) == GuestLimits(pids=5, resident=100)


def test_what_is_approximate_is_told() -> None:
    (memory,) = NO_CGROUP.notices(Engine.DIRECT)
    both = NO_CGROUP.notices(Engine.PROCESS)

    assert memory.endswith("no memory controller")
    assert both[0] == memory
    assert both[1].endswith("no pids controller")
    assert Shortage().notices(Engine.PROCESS) == ()


@pytest.mark.parametrize(
    ("engine", "pids", "init", "tasks"),
    [
        ("direct", 5, False, None),
        ("process", None, True, None),
        ("process", 5, False, 5),
        ("process", 5, True, 6),
    ],
)
def test_the_cgroup_counts_processes_where_no_monitors_do(
    engine: str, pids: int | None, tasks: int | None, *, init: bool
) -> None:
    definition = replace(make_definition(), limits=Limits(pids=pids), init=init)

    assert guest_tasks(definition, engine) == tasks


def test_a_limit_that_nobody_can_hold_is_an_error_and_others_have_a_reason() -> None:
    assert find_shortage(groups(), LIMITS) == Shortage()
    assert find_shortage(groups("memory", "pids"), LIMITS) == NO_CGROUP
    with pytest.raises(LimitError, match="cpus cannot be limited on this host: no cpus controller"):
        find_shortage(groups("cpus"), LIMITS)


def test_what_control_groups_lack_is_one_text() -> None:
    assert lacking_limits(groups()) == ""
    assert lacking_limits(groups("cpus", "pids")) == "no limits of cpus, pids: no cpus controller"
