"""Whatever happens to what kwhost made, by a crash or by hand, the next reconcile makes it whole; and what is
not kwhost's is not touched."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import NetworkLimits, Transport
from kwhost.net.applying import apply_steps
from kwhost.net.host import HostNetwork
from kwhost.net.layout import port_of
from kwhost.net.names import LinkKind, bridge_name, mirror_name, owner_of, port_name, table_name
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.steps import Step
from kwhost.net.transaction import remove_tables
from kwhost.net.wishes import Namespace, Published, TapEnd, VethEnd, Wishes
from tests.net.namespaces import filter_bridged, new_namespace, write_setting
from tests.net.probes import is_cut_off, reaches
from tests.net.world import OWNER, WORLD, World

pytestmark = [pytest.mark.net, pytest.mark.root]
LIMITS = NetworkLimits(upload=8_000_000, download=8_000_000, upload_packets=1000, connections=10)


def rich(world: World) -> Wishes:
    """Something of everything, small: a tenant with an instance on a veth pair and one on a tap."""
    network, veth = world.wishes.networks[0], world.of(0, 0)
    tap = replace(world.of(0, 1), end=TapEnd(uid=1234))
    veth = replace(veth, limits=LIMITS, egress=WORLD, isolated=True)
    published = Published(transport=Transport.TCP, port=80, target_port=80, targets=(veth.instance,))
    return replace(
        world.wishes,
        networks=(replace(network, limits=LIMITS),),
        attachments=(veth, tap),
        published=(published,),
    )


@pytest.fixture(autouse=True)
def _bridged_packets_are_not_filtered(bare_world: World) -> None:
    """Otherwise a tenant's upload cannot be limited."""
    filter_bridged(bare_world.namespace, on=False)


def links(namespace: Namespace) -> set[str]:
    def read() -> set[str]:
        with open_session() as session:
            return {message.get_attr("IFLA_IFNAME") for message in session.get_links()}

    return run_inside(namespace, read)


def fresh(world: World) -> HostNetwork:
    """A daemon that was started again."""
    return HostNetwork(OWNER, world.namespace)


def do(world: World, steps: tuple[Step, ...]) -> None:
    assert run_inside(world.namespace, lambda: apply_steps(Nft(), OWNER, steps)) == {}


@pytest.mark.hw
def test_a_second_reconcile_finds_nothing_to_do(bare_world: World) -> None:
    wishes = rich(bare_world)

    bare_world.apply(wishes)

    assert bare_world.host.steps(wishes) == ()


def test_a_start_that_is_killed_after_any_step_is_completed_by_the_next(bare_world: World) -> None:
    wishes = rich(bare_world)
    steps = bare_world.host.steps(wishes)

    for count in range(len(steps)):
        do(bare_world, steps[:count])
        restarted = fresh(bare_world)
        assert restarted.reconcile(wishes) == {}
        assert restarted.steps(wishes) == (), f"after {steps[count]}"
        assert fresh(bare_world).reconcile(Wishes(owner=OWNER)) == {}


def test_an_end_that_is_killed_after_any_step_leaves_nothing_after_the_next(bare_world: World) -> None:
    wishes, nothing = rich(bare_world), Wishes(owner=OWNER)
    before = links(bare_world.namespace)
    bare_world.apply(wishes)
    total = len(bare_world.host.steps(nothing))

    for count in range(total):
        fresh(bare_world).reconcile(wishes)
        do(bare_world, fresh(bare_world).steps(nothing)[:count])
        assert fresh(bare_world).reconcile(nothing) == {}
        assert links(bare_world.namespace) == before


def test_every_step_can_be_done_twice(bare_world: World) -> None:
    wishes = rich(bare_world)
    steps = bare_world.host.steps(wishes)

    for step in steps:
        do(bare_world, (step, step))

    assert fresh(bare_world).reconcile(wishes) == {}


def _delete(name: str) -> Callable[[Any], None]:
    return lambda session: session.link("del", ifname=name)


def _damages(wishes: Wishes) -> dict[str, Callable[[Any], None]]:
    bridge, table = bridge_name(OWNER, wishes.networks[0].tenant), table_name(OWNER)
    veth, tap = (port_of(one) for one in wishes.attachments)
    gateway = str(wishes.networks[0].subnet.net4[1])

    def index(session: Any, name: str) -> int:
        return int(session.link_lookup(ifname=name)[0])

    return {
        "the bridge": _delete(bridge),
        "a port": _delete(veth),
        "a tap": _delete(tap),
        "a mirror": _delete(mirror_name(veth)),
        "an address": lambda s: s.addr("del", index=index(s, bridge), address=gateway, prefixlen=24),
        "a neighbour": lambda s: s.neigh(
            "del", ifindex=index(s, bridge), dst=str(wishes.attachments[0].address4)
        ),
        "a port's place in its bridge": lambda s: s.link("set", index=index(s, veth), master=0),
        "a port's state": lambda s: s.link("set", index=index(s, veth), state="down"),
        "a port's guards": lambda s: s.brport("set", index=index(s, veth), learning=1),
        "a port's mtu": lambda s: s.link("set", index=index(s, tap), mtu=1400),
        "a rate": lambda s: s.tc("del", index=index(s, veth), handle=0x10000, parent=0xFFFFFFFF),
        "a redirection": lambda s: s.tc("del", index=index(s, veth), handle=0xFFFF0000, parent=0xFFFFFFF1),
        "a table": lambda _: Nft().run(f"delete table inet {table}"),
        "both tables": lambda _: Nft().run(remove_tables(OWNER)),
        "the rules": lambda _: Nft().run(f"flush table bridge {table}"),
        "a chain's rules": lambda _: Nft().run(f"flush chain inet {table} leaving"),
        "an element": lambda _: Nft().run(f"flush set bridge {table} ports"),
        "what is published": lambda _: Nft().run(f"flush map inet {table} everywhere4"),
    }


def test_what_is_removed_or_changed_by_hand_is_put_back(bare_world: World) -> None:
    wishes = rich(bare_world)
    bare_world.apply(wishes)

    def damage(action: Callable[[Any], None]) -> None:
        with open_session() as session:
            action(session)

    for name, action in _damages(wishes).items():
        run_inside(bare_world.namespace, partial(damage, action))
        assert bare_world.host.steps(wishes), f"the loss of {name} is not seen"
        assert bare_world.host.reconcile(wishes) == {}, name
        assert bare_world.host.steps(wishes) == (), name


def test_addresses_inside_an_instance_are_put_back(world: World) -> None:
    one, other = world.of(0, 0), world.of(0, 1)

    def lose() -> None:
        with open_session() as session:
            session.flush_addr(index=session.link_lookup(ifname="eth0")[0])

    run_inside(world.place(one), lose)
    assert is_cut_off(world.place(one), world.place(other), str(other.address4), Transport.UDP)

    assert world.host.reconcile(world.wishes) == {}

    assert reaches(world.place(one), world.place(other), str(other.address4), Transport.UDP)


def test_what_nobody_wants_any_more_is_removed(world: World) -> None:
    kept = replace(
        world.wishes,
        networks=world.wishes.networks[:1],
        attachments=tuple(one for one in world.wishes.attachments if one.tenant == world.of(0, 0).tenant),
    )

    assert world.host.change(kept) == {}

    bridge = bridge_name(OWNER, kept.networks[0].tenant)
    assert links(world.namespace) == {"lo", "uplink", bridge, *(port_of(one) for one in kept.attachments)}
    assert world.host.steps(kept) == ()


def test_what_belongs_to_others_is_not_touched(world: World) -> None:
    """Somebody's bridge with our kind of name, and another kwhost's links and tables."""
    stranger = port_name(LinkKind.BRIDGE, world.of(0, 0).instance)
    neighbour = HostNetwork(owner_of("/elsewhere"), world.namespace)

    def add() -> None:
        with open_session() as session:
            session.link("add", ifname=stranger, kind="bridge")

    run_inside(world.namespace, add)
    world.host.reconcile(Wishes(owner=OWNER))
    with new_namespace() as place:
        one = replace(world.of(0, 0), end=VethEnd(namespace=place))
        theirs = replace(
            world.wishes, owner=neighbour.owner, networks=world.wishes.networks[:1], attachments=(one,)
        )
        assert neighbour.reconcile(theirs) == {}

        assert world.host.reconcile(Wishes(owner=OWNER)) == {}

        assert stranger in links(world.namespace)
        assert neighbour.steps(theirs) == ()


def test_a_link_name_that_is_taken_is_an_error_before_anything_is_done(bare_world: World) -> None:
    taken = port_of(bare_world.of(0, 0))

    def add() -> None:
        with open_session() as session:
            session.link("add", ifname=taken, kind="bridge")

    run_inside(bare_world.namespace, add)

    with pytest.raises(Conflict, match=f"cannot make the link {taken}"):
        bare_world.host.reconcile(bare_world.wishes)
    assert links(bare_world.namespace) == {"lo", "uplink", taken}


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_a_table_of_somebody_elses_is_an_error_and_stays(bare_world: World, family: str) -> None:
    table = f"{family} {table_name(OWNER)}"
    theirs = f"table {table} {{ chain theirs {{ }}; }}"
    run_inside(bare_world.namespace, lambda: Nft().run(theirs))

    with pytest.raises(Conflict, match=f"cannot make the table {table}: there is one that is not kwhost's"):
        bare_world.host.reconcile(bare_world.wishes)
    assert bare_world.host.reconcile(Wishes(owner=OWNER)) == {}

    assert links(bare_world.namespace) == {"lo", "uplink"}
    assert "theirs" in run_inside(bare_world.namespace, lambda: Nft().run(f"list table {table}"))


def test_an_empty_table_is_nobodys(bare_world: World) -> None:
    run_inside(bare_world.namespace, lambda: Nft().run(f"table inet {table_name(OWNER)} {{ }}"))

    bare_world.apply(bare_world.wishes)

    assert bare_world.host.steps(bare_world.wishes) == ()


def test_an_operation_that_fails_is_told_with_its_device(bare_world: World) -> None:
    """Here: a port that cannot be put into its bridge, which somebody has removed meanwhile."""
    steps = bare_world.host.steps(bare_world.wishes)
    bridge = bridge_name(OWNER, bare_world.wishes.networks[0].tenant)
    port = port_of(bare_world.of(0, 0))
    without = tuple(step for step in steps if getattr(getattr(step, "link", None), "name", "") != bridge)

    failures = run_inside(bare_world.namespace, lambda: apply_steps(Nft(), OWNER, without))

    assert str(failures[port]).startswith("cannot ")
    assert port in str(failures[port])
    assert str(failures[port]).endswith("No such device")


def test_a_subnet_of_the_host_is_an_error_before_anything_is_done(bare_world: World) -> None:
    own = bare_world.wishes.networks[0].subnet.net4[9]

    def add() -> None:
        with open_session() as session:
            index = session.link_lookup(ifname="uplink")[0]
            session.addr("add", index=index, address=str(own), prefixlen=30)

    run_inside(bare_world.namespace, add)

    with pytest.raises(Conflict, match=r"^tenant acme cannot have .*: uplink has"):
        bare_world.host.reconcile(bare_world.wishes)
    assert links(bare_world.namespace) == {"lo", "uplink"}


def test_one_instance_that_is_gone_keeps_no_other_from_its_network(bare_world: World) -> None:
    first, second = bare_world.of(0, 0), bare_world.of(0, 1)
    lost = replace(first, end=VethEnd(namespace=Namespace("/proc/self/fd/9999")))
    others = tuple(one for one in bare_world.wishes.attachments if one != first)

    failures = bare_world.host.reconcile(replace(bare_world.wishes, attachments=(lost, *others)))

    assert failures.keys() == {port_of(lost)}
    assert "eth0 in /proc/self/fd/9999" in str(failures[port_of(lost)])
    third = bare_world.of(0, 2)
    assert reaches(bare_world.place(second), bare_world.place(third), str(third.address4), Transport.TCP)


def test_an_interface_name_that_is_taken_inside_is_an_error_that_names_it(world: World) -> None:
    one = world.of(0, 0)
    twin = replace(one, instance=InstanceId("0123456789ab"))
    world.host.reconcile(replace(world.wishes, attachments=(one,)))

    def rename() -> None:
        with open_session() as session:
            session.link("add", ifname="eth7", kind="bridge")

    run_inside(world.place(one), rename)
    taken = replace(twin, end=VethEnd(namespace=world.place(one), interface="eth7"))
    failures = world.host.reconcile(replace(world.wishes, attachments=(taken,)))

    assert "eth7" in str(failures[port_of(taken)])
    assert "File exists" in str(failures[port_of(taken)])


def test_a_namespace_that_is_none_is_an_error() -> None:
    with pytest.raises(NetworkError, match="cannot enter the network namespace /dev/null"):
        run_inside(Namespace("/dev/null"), lambda: None)


def test_a_host_that_does_not_forward_is_an_error_that_says_what_to_do(world: World) -> None:
    write_setting(world.namespace, "ipv4/ip_forward", "0")
    one = replace(world.of(0, 0), egress=WORLD[:1])
    wishes = replace(world.wishes, attachments=(one,))

    with pytest.raises(NetworkError, match=rf"{one.address4} cannot call.*run sysctl net.ipv4.ip_forward=1"):
        world.host.reconcile(wishes)

    write_setting(world.namespace, "ipv4/ip_forward", "1")
    assert world.host.change(wishes) == {}
