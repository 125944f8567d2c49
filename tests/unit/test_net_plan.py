"""A plan leads from any state to the wanted one, in an order that lets no packet slip through."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import NetworkLimits, Transport
from kwhost.net.addresses import Used
from kwhost.net.layout import lay_out, port_of
from kwhost.net.names import LinkKind, mirror_name
from kwhost.net.plan import plan
from kwhost.net.state import State
from kwhost.net.steps import (
    AddLink,
    AddRoute,
    ChangeLink,
    ChangeTables,
    Lower,
    Raise,
    RemoveLinks,
    RemoveRoute,
    Retire,
    Step,
    Unredirect,
    link_of,
)
from kwhost.net.wishes import Namespace, Published, TapEnd, VethEnd, Wishes
from tests.unit.net_parts import ACME, DB, GLOBEX, OWNER, UPLINKS, WEB, attachment, network, wishes

NOTHING = State(owner=OWNER)
ONE = Wishes(owner=OWNER, networks=(network(),), attachments=(attachment(),))


def added(steps: tuple[Step, ...]) -> set[str]:
    return {step.link.name for step in steps if isinstance(step, AddLink)}


def removed(steps: tuple[Step, ...]) -> set[str]:
    return {name for step in steps if isinstance(step, RemoveLinks) for name in step.links}


@given(wishes())
def test_nothing_is_done_where_all_is_as_wanted(wanted: Wishes) -> None:
    assert plan(lay_out(wanted), lay_out(wanted)) == ()


@given(wishes())
def test_from_nothing_every_link_is_made_once_and_none_removed(wanted: Wishes) -> None:
    desired = lay_out(wanted)

    steps = plan(desired, NOTHING)

    assert added(steps) == desired.links.keys()
    assert not removed(steps)


@given(wishes(), wishes())
def test_links_that_nobody_wants_are_removed_and_missing_ones_made(old: Wishes, new: Wishes) -> None:
    before, after = lay_out(old), lay_out(new)

    steps = plan(after, before)

    assert removed(steps) >= before.links.keys() - after.links.keys()
    assert added(steps) == (after.links.keys() - before.links.keys()) | (removed(steps) & after.links.keys())


@given(wishes())
def test_no_link_comes_up_before_the_tables_know_it(wanted: Wishes) -> None:
    steps = plan(lay_out(wanted), NOTHING)

    tables = [place for place, step in enumerate(steps) if isinstance(step, ChangeTables)]
    raised = [place for place, step in enumerate(steps) if isinstance(step, ChangeLink | Raise)]
    assert len(tables) == bool(wanted.networks)
    assert all(place > tables[0] for place in raised)


def test_an_uplink_goes_down_before_its_rules_go() -> None:
    across = replace(ONE, networks=(network(uplinks=(UPLINKS[ACME],)),))

    steps = plan(lay_out(ONE), lay_out(across))

    assert [type(step) for step in steps] == [Lower, ChangeTables]


def test_a_route_that_moves_to_another_uplink_is_replaced() -> None:
    across, moved = (
        replace(ONE, networks=(network(uplinks=(replace(UPLINKS[ACME], interface=name),)),))
        for name in ("one", "two")
    )

    steps = plan(lay_out(moved), lay_out(across))

    assert [str(step) for step in steps if isinstance(step, AddRoute | RemoveRoute)] == [
        "lead packets to 10.200.0.0/24 through two",
        "lead packets to fd00::/64 through two",
    ]


@given(wishes())
def test_a_port_comes_up_after_its_limits_hold(wanted: Wishes) -> None:
    steps = plan(lay_out(wanted), NOTHING)

    for place, step in enumerate(steps):
        if isinstance(step, ChangeLink):
            later = [one for one in steps[place:] if link_of(one) == step.link.name]
            assert not any(type(one).__name__ in ("LimitRate", "Redirect") for one in later)


@given(wishes())
def test_every_step_says_what_it_does(wanted: Wishes) -> None:
    for step in plan(lay_out(wanted), NOTHING):
        assert "\n" not in str(step)
        link = link_of(step)
        assert link is None or link in str(step)


def test_an_instance_in_another_namespace_is_attached_anew() -> None:
    desired, before = lay_out(ONE), lay_out(ONE)
    moved = replace(before, places={}, insides={})

    assert removed(plan(desired, moved)) == {port_of(ONE.attachments[0])}


def test_a_tap_of_another_user_is_made_anew() -> None:
    tap = replace(ONE, attachments=(attachment(end=TapEnd(uid=1)),))
    other = replace(ONE, attachments=(attachment(end=TapEnd(uid=2)),))

    assert removed(plan(lay_out(other), lay_out(tap))) == {port_of(other.attachments[0])}


def test_a_link_no_longer_leads_through_its_mirror_when_that_goes() -> None:
    limited = replace(ONE, attachments=(attachment(limits=NetworkLimits(upload=8_000)),))
    port = port_of(ONE.attachments[0])

    steps = plan(lay_out(ONE), lay_out(limited))

    assert steps == (Unredirect(port), RemoveLinks((mirror_name(port),)))


def test_only_an_instances_end_is_left_to_go_with_its_namespace() -> None:
    """Its mirror has no namespace that ends, and one that is to be another is removed at once."""
    limited = replace(ONE, attachments=(attachment(limits=NetworkLimits(upload=8_000)),))
    port = port_of(ONE.attachments[0])
    elsewhere = replace(ONE, attachments=(attachment(end=VethEnd(namespace=Namespace("/other"))),))

    gone = plan(lay_out(replace(ONE, attachments=())), lay_out(limited), retiring=True)
    moved = plan(lay_out(elsewhere), lay_out(ONE), retiring=True)

    assert [step for step in gone if isinstance(step, Retire)] == [Retire((port,))]
    assert removed(gone) == {mirror_name(port)}
    assert removed(moved) == {port}


def test_a_strangers_link_of_that_name_is_left_alone() -> None:
    port = port_of(ONE.attachments[0])

    with pytest.raises(Conflict, match=rf"{port} \(kwhost instance acme/web\): there is one that is not"):
        plan(lay_out(ONE), replace(NOTHING, strangers=frozenset({port})))


def test_a_subnet_that_the_host_uses_is_an_error_that_names_both() -> None:
    used = frozenset({Used(IPv4Network("10.0.0.0/8"), "eth0")})

    with pytest.raises(Conflict, match=r"tenant acme cannot have .*: eth0 has 10\.0\.0\.0/8"):
        plan(lay_out(ONE), replace(NOTHING, used=used))


def test_two_instances_with_one_address_are_an_error_that_names_both() -> None:
    web = attachment()
    twin = replace(attachment(name=DB), address4=web.address4)

    with pytest.raises(Conflict, match=r"acme/db cannot have .*: instance acme/web has it"):
        lay_out(replace(ONE, attachments=(web, twin)))


def test_an_instance_without_its_tenants_network_is_an_error() -> None:
    with pytest.raises(Conflict, match="globex/web has no network"):
        lay_out(replace(ONE, attachments=(attachment(GLOBEX),)))


def test_a_port_published_twice_is_an_error() -> None:
    once = Published(transport=Transport.TCP, port=80, target_port=80, targets=(ONE.attachments[0].instance,))

    with pytest.raises(Conflict, match="published twice"):
        lay_out(replace(ONE, published=(once, once)))


def test_a_port_that_leads_nowhere_is_an_error() -> None:
    lost = Published(transport=Transport.TCP, port=80, target_port=80, targets=(InstanceId("0" * 12),))

    with pytest.raises(Conflict, match="not attached"):
        lay_out(replace(ONE, published=(lost,)))


def test_replicas_share_the_turns_of_a_port() -> None:
    web, db = attachment(), attachment(name=DB)
    both = Published(transport=Transport.TCP, port=80, target_port=80, targets=(web.instance, db.instance))

    tables = lay_out(replace(ONE, attachments=(web, db), published=(both,))).tables

    turns = [
        element.data
        for place, elements in tables.elements.items()
        if place.name == "everywhere4"
        for element in elements.values()
    ]
    assert sorted(turns) == sorted([f"{web.address4} . 80", f"{db.address4} . 80"] * 8)


def test_kinds_of_ends_have_ports_of_their_kind() -> None:
    kinds = [lay_out(replace(ONE, attachments=(attachment(end=end),))).links for end in (None, TapEnd(uid=1))]

    assert [{link.kind for link in links.values()} for links in kinds] == [
        {LinkKind.BRIDGE, LinkKind.VETH},
        {LinkKind.BRIDGE, LinkKind.TAP},
    ]
    assert (ONE.attachments[0].tenant, ONE.attachments[0].name) == (ACME, WEB)
