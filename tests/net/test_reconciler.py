"""Tasks attach and detach at the same time, and get what they asked for or an error of their own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import trio

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.ids import InstanceId, InstanceName
from kwhost.core.model.network import NO_LIMITS, NetworkLimits, Transport
from kwhost.net.addresses import assign_addresses
from kwhost.net.layout import port_of
from kwhost.net.reconcile import Reconciler
from kwhost.net.wishes import Attachment, Namespace, VethEnd
from tests.net.namespaces import new_namespace, write_setting
from tests.net.probes import is_cut_off, reaches, until
from tests.net.test_repair import links
from tests.net.world import WORLD, World

pytestmark = [pytest.mark.net, pytest.mark.root]
LIMITS = NetworkLimits(upload=8_000_000)


@pytest.fixture
def places() -> Iterator[list[Namespace]]:
    with ExitStack() as stack:
        yield [stack.enter_context(new_namespace()) for _ in range(20)]


def attachments(world: World, places: list[Namespace]) -> list[Attachment]:
    """One in each place, of the first tenant."""
    network = world.wishes.networks[0]
    names = [InstanceName(f"i{number}") for number in range(len(places))]
    addresses = assign_addresses(network.subnet, names)
    return [
        Attachment(
            instance=InstanceId(os.urandom(6).hex()),
            tenant=network.tenant,
            name=name,
            end=VethEnd(namespace=place),
            address4=addresses[name][0],
            address6=addresses[name][1],
            limits=LIMITS,
        )
        for name, place in zip(names, places, strict=True)
    ]


async def test_many_cycles_at_the_same_time_leave_nothing(bare_world: World, places: list[Namespace]) -> None:
    """Ten times in each of twenty namespaces."""
    before = links(bare_world.namespace)
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    empty = links(bare_world.namespace)
    made: list[set[str]] = []

    async def cycle(one: Attachment) -> None:
        for _ in range(10):
            again = replace(one, instance=InstanceId(os.urandom(6).hex()))
            await reconciler.attach(again)
            made.append(links(bare_world.namespace))
            await reconciler.detach(again.instance)

    async with trio.open_nursery() as nursery:
        for one in attachments(bare_world, places):
            nursery.start_soon(cycle, one)

    assert len(made) == 200
    assert links(bare_world.namespace) == empty
    assert bare_world.host.steps(reconciler.wishes) == ()
    await reconciler.set_networks(())
    assert links(bare_world.namespace) == before


async def test_a_detached_link_carries_nothing_and_goes_with_its_namespace(
    bare_world: World, places: list[Namespace]
) -> None:
    """Or with the next repair, where that lives on."""
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    empty = links(bare_world.namespace)
    ended, lives, near = (replace(one, limits=NO_LIMITS) for one in attachments(bare_world, places[:3]))
    with new_namespace() as place:
        ended = replace(ended, end=VethEnd(namespace=place))
        await reconciler.attach(ended, lives, near)

        await reconciler.detach(ended.instance, lives.instance)

        assert is_cut_off(place, places[2], str(near.address4), Transport.TCP)
        assert is_cut_off(places[1], places[2], str(near.address4), Transport.TCP)
    until(lambda: port_of(ended) not in links(bare_world.namespace))
    assert links(bare_world.namespace) == empty | {port_of(lives), port_of(near)}

    await reconciler.reconcile()

    assert links(bare_world.namespace) == empty | {port_of(near)}


async def test_who_comes_back_to_a_namespace_at_once_is_attached_again(
    bare_world: World, places: list[Namespace]
) -> None:
    """Before the kernel has removed the link of before, which has the names that are needed."""
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    one, near = (replace(one, limits=NO_LIMITS) for one in attachments(bare_world, places[:2]))
    await reconciler.attach(one, near)

    for again in (one, replace(one, instance=InstanceId(os.urandom(6).hex()))):
        await reconciler.detach(one.instance)
        await reconciler.attach(again)

        assert reaches(places[0], places[1], str(near.address4), Transport.TCP)


async def test_those_who_attach_together_reach_each_other(bare_world: World, places: list[Namespace]) -> None:
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    first, second = attachments(bare_world, places[:2])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reconciler.attach, first)
        nursery.start_soon(reconciler.attach, second)

    assert reaches(places[0], places[1], str(second.address4), Transport.TCP)


async def test_who_cannot_be_attached_has_an_error_and_the_others_have_a_network(
    bare_world: World, places: list[Namespace]
) -> None:
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    lost, first, second = attachments(bare_world, places[:3])
    lost = replace(lost, end=VethEnd(namespace=Namespace("/proc/self/fd/9999")))
    errors: list[str] = []

    async def attach_lost() -> None:
        try:
            await reconciler.attach(lost)
        except NetworkError as error:
            errors.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attach_lost)
        nursery.start_soon(reconciler.attach, first, second)

    assert len(errors) == 1
    assert reconciler.wishes.attachments == (first, second)
    assert reaches(places[1], places[2], str(second.address4), Transport.TCP)
    assert bare_world.host.steps(reconciler.wishes) == ()


async def test_a_wish_that_contradicts_others_changes_nothing(
    bare_world: World, places: list[Namespace]
) -> None:
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    first, second = attachments(bare_world, places[:2])
    await reconciler.attach(first)

    with pytest.raises(Conflict, match="instance acme/i0 has it"):
        await reconciler.attach(replace(second, address4=first.address4))

    assert reconciler.wishes.attachments == (first,)
    assert bare_world.host.steps(reconciler.wishes) == ()


async def test_what_concerns_all_is_an_error_and_keeps_nobody_else_out(
    bare_world: World, places: list[Namespace]
) -> None:
    """An instance that may call outside, where the host does not forward."""
    write_setting(bare_world.namespace, "ipv4/ip_forward", "0")
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    first, second = attachments(bare_world, places[:2])

    with pytest.raises(NetworkError, match="does not forward"):
        await reconciler.attach(replace(first, egress=WORLD))
    await reconciler.attach(second)

    assert reconciler.wishes.attachments == (second,)
    assert bare_world.host.steps(reconciler.wishes) == ()


async def test_what_concerns_all_is_no_error_of_those_who_attach_at_the_same_time(
    bare_world: World, places: list[Namespace]
) -> None:
    write_setting(bare_world.namespace, "ipv4/ip_forward", "0")
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    several = attachments(bare_world, places)
    refused = [replace(one, egress=WORLD) for one in several[::4]]
    errors: list[str] = []

    async def attach_refused(one: Attachment) -> None:
        try:
            await reconciler.attach(one)
        except NetworkError as error:
            errors.append(str(error))

    async with trio.open_nursery() as nursery:
        for one in refused:
            nursery.start_soon(attach_refused, one)
        for one in several:
            if one not in several[::4]:
                nursery.start_soon(reconciler.attach, one)

    assert len(errors) == len(refused)
    assert all("does not forward" in error for error in errors)
    assert len(reconciler.wishes.attachments) == len(several) - len(refused)
    assert bare_world.host.steps(reconciler.wishes) == ()


async def test_an_instance_that_ended_by_itself_leaves_nothing(
    bare_world: World, places: list[Namespace]
) -> None:
    """With its namespace the kernel removes both ends of the pair."""
    reconciler = Reconciler(bare_world.host)
    await reconciler.set_networks(bare_world.wishes.networks)
    first, second = attachments(bare_world, places[:2])
    empty = links(bare_world.namespace)
    with new_namespace() as place:
        ended = replace(first, end=VethEnd(namespace=place))
        await reconciler.attach(ended)
    until(lambda: port_of(ended) not in links(bare_world.namespace))

    await reconciler.attach(second)
    await reconciler.detach(ended.instance, second.instance)

    assert links(bare_world.namespace) == empty
    assert bare_world.host.steps(reconciler.wishes) == ()
