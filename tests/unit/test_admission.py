"""Quotas and the isolation floor: who gets in, and what a refusal says."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import QuotaExceeded
from kwhost.core.model.definition import InstanceDefinition, Limits
from kwhost.core.model.instance import Engine, Isolation
from kwhost.core.model.tenant import Quota, Tenant
from kwhost.core.supervise.admission import check_admission, quota_use
from tests.unit.fake_hosting import ACME, make_definition

# Each quota; what one instance there has, and how these two read in a refusal.
QUOTAS: list[tuple[str, Any, Any, tuple[str, str]]] = [
    ("cpus", 4.0, 1.5, ("4", "1.5")),
    ("memory", 1 << 30, 256 << 20, ("1.0 GiB", "256.0 MiB")),
    ("storage", 10 << 30, 1 << 30, ("10.0 GiB", "1.0 GiB")),
    ("pids", 100, 64, ("100", "64")),
]
NAMES = [name for name, *_ in QUOTAS]


def tenant(**quota: Any) -> Tenant:
    return Tenant(name=ACME, quota=Quota(**quota))


def asking(name: str = "new", **limits: Any) -> InstanceDefinition:
    return make_definition(name=name, limits=Limits(**limits))


def refusal(of: Tenant, definition: InstanceDefinition, *present: InstanceDefinition) -> str:
    with pytest.raises(QuotaExceeded) as caught:
        check_admission(of, definition, present)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_without_quotas_everything_gets_in() -> None:
    check_admission(tenant(), asking(memory=1 << 60, cpus=1e6), [asking(str(n)) for n in range(1000)])


@pytest.mark.parametrize(("name", "quota", "used", "shown"), QUOTAS, ids=NAMES)
def test_the_last_that_fits_gets_in(name: str, quota: Any, used: Any, shown: tuple[str, str]) -> None:
    check_admission(tenant(**{name: quota}), asking(**{name: quota - used}), [asking("old", **{name: used})])


@pytest.mark.parametrize(("name", "quota", "used", "shown"), QUOTAS, ids=NAMES)
def test_a_refusal_says_which_quota_what_is_used_and_what_was_asked(
    name: str, quota: Any, used: Any, shown: tuple[str, str]
) -> None:
    text = refusal(tenant(**{name: quota}), asking(**{name: quota}), asking("old", **{name: used}))

    in_all, in_use = shown
    assert f"tenant acme has {in_use} of {in_all} {name} in use" in text
    assert f"new asks for {in_all} more" in text


@pytest.mark.parametrize("name", NAMES)
def test_under_a_quota_each_instance_says_what_it_needs(name: str) -> None:
    assert f"({name} = ...)" in refusal(tenant(**{name: 10}), asking())


def test_the_number_of_instances_is_a_quota() -> None:
    check_admission(tenant(max_instances=2), asking(), [asking("old")])

    text = refusal(tenant(max_instances=2), asking(), asking("one"), asking("two"))
    assert "has 2 of 2 instances" in text
    assert "max_instances" in text


@pytest.mark.parametrize(
    ("floor", "engine", "admitted"),
    [
        (Isolation.KERNEL, Engine.DIRECT, False),
        (Isolation.KERNEL, Engine.PROCESS, False),
        (Isolation.VM, Engine.DIRECT, True),
        (Isolation.VM, Engine.PROCESS, False),
        (Isolation.VM, Engine.AUTO, True),
        (Isolation.PROCESS, Engine.PROCESS, True),
        (Isolation.PROCESS, Engine.DIRECT, True),
    ],
)
def test_nobody_gets_less_isolation_than_the_tenant_wants(
    floor: Isolation, engine: Engine, admitted: bool
) -> None:
    owner = replace(tenant(), isolation=floor)
    definition = replace(asking(), engine=engine)
    if admitted:
        check_admission(owner, definition, ())
    else:
        text = refusal(owner, definition)
        assert repr(floor.value) in text
        assert repr(engine.value) in text


@given(st.lists(st.integers(1, 1000), max_size=20), st.integers(1, 5000))
def test_who_was_let_in_never_has_more_than_the_quota(asked: list[int], quota: int) -> None:
    inside: list[InstanceDefinition] = []
    for number, pids in enumerate(asked):
        definition = asking(f"n{number}", pids=pids)
        try:
            check_admission(tenant(pids=quota), definition, inside)
        except QuotaExceeded:
            continue
        inside.append(definition)

    assert sum(each.limits.pids or 0 for each in inside) <= quota


def test_the_use_of_each_quota_is_the_sum_of_what_was_promised() -> None:
    use = quota_use(tenant(), [asking("one", memory=100, cpus=0.5), asking("two", memory=50)])

    assert use == {"max_instances": 2, "cpus": 0.5, "memory": 150, "storage": 0, "pids": 0}
