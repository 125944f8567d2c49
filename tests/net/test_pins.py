"""An instance that may call a host name reaches its addresses right after it asked, and nothing else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.ids import InstanceName
from kwhost.core.model.network import NameRule, PortSpan, Transport
from kwhost.net.names import table_name
from kwhost.net.namespaces import run_inside
from kwhost.net.nft import Nft
from kwhost.net.wishes import Attachment
from tests.net.names import Asking, in_thread, resolving, zones_of
from tests.net.probes import is_cut_off, listening, make_socket, reaches
from tests.net.upstream import UpstreamServer, serve_upstream
from tests.net.world import METADATA, OUTSIDE4, OUTSIDE6, World

pytestmark = [pytest.mark.net, pytest.mark.root]
NAME = "api.example.org"
RULE = NameRule(to=NAME, transport=Transport.TCP, ports=PortSpan(7000, 7000))


@contextmanager
def outside(world: World) -> Iterator[UpstreamServer]:
    """The upstream, and its host as what is called."""
    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records[NAME] = [f"@ 60 A {OUTSIDE4}", f"@ 60 AAAA {OUTSIDE6}"]
        upstream.records["other.example.org"] = [f"@ 60 A {OUTSIDE4}"]
        yield upstream


def calls(
    world: World, one: Attachment, address: str = OUTSIDE4, transport: Transport = Transport.TCP
) -> bool:
    return reaches(world.place(one), world.outside, address, transport)


def is_refused(
    world: World, one: Attachment, address: str = OUTSIDE4, transport: Transport = Transport.TCP
) -> bool:
    return is_cut_off(world.place(one), world.outside, address, transport)


def pinned(world: World) -> str:
    table = table_name(world.wishes.owner)
    return run_inside(world.namespace, lambda: Nft().run(f"list set inet {table} pinned4"))


@pytest.mark.parametrize(("version", "kind"), [(4, "A"), (6, "AAAA")])
async def test_a_name_is_reached_right_after_it_was_asked_for_and_not_before(
    world: World, tmp_path: Path, version: int, kind: str
) -> None:
    one, address = world.of(0, 0), OUTSIDE4 if version == 4 else OUTSIDE6
    asking = Asking(world, one)

    with outside(world):
        async with resolving(world, tmp_path, zones_of(world, forwards=False, egress=(RULE,))):
            assert await in_thread(is_refused, world, one, address)

            assert await in_thread(asking.told, NAME, kind) == {address}

            assert await in_thread(calls, world, one, address)
            assert await in_thread(is_refused, world, one, address, Transport.UDP)
            assert await in_thread(is_refused, world, world.of(0, 1), address)


async def test_names_that_no_rule_is_about_open_nothing(world: World, tmp_path: Path) -> None:
    one, two = world.of(0, 0), world.of(0, 1)

    with outside(world):
        async with resolving(world, tmp_path, zones_of(world, egress=(RULE,))):
            assert await in_thread(Asking(world, one).told, "other.example.org") == {OUTSIDE4}
            assert await in_thread(Asking(world, two).told, NAME) == {OUTSIDE4}

            assert await in_thread(is_refused, world, one)
            assert await in_thread(is_refused, world, two)


async def test_an_instance_may_ask_for_the_names_that_it_may_call_and_no_others(
    world: World, tmp_path: Path
) -> None:
    one, two = Asking(world, world.of(0, 0)), Asking(world, world.of(0, 1))
    egress = (NameRule(to="*.example.org"),)

    with outside(world) as upstream:
        async with resolving(world, tmp_path, zones_of(world, forwards=False, egress=egress)):
            assert await in_thread(one.code, NAME) == "NOERROR"
            assert await in_thread(one.code, "example.com") == "REFUSED"
            assert await in_thread(two.code, NAME) == "REFUSED"

        assert upstream.asked == [NAME]


async def test_a_name_that_leads_to_the_metadata_service_opens_nothing(world: World, tmp_path: Path) -> None:
    one = world.of(0, 0)

    with outside(world) as upstream:
        upstream.records[NAME] = [f"@ 60 A {METADATA}"]
        async with resolving(world, tmp_path, zones_of(world, egress=(NameRule(to=NAME),))):
            assert await in_thread(Asking(world, one).told, NAME) == set()
            assert await in_thread(is_refused, world, one, METADATA)


async def test_a_rule_that_is_gone_ends_the_permission_and_not_the_connection(
    world: World, tmp_path: Path
) -> None:
    one = world.of(0, 0)

    with outside(world), listening(world.outside, OUTSIDE4, socket.SOCK_STREAM) as server:
        async with resolving(world, tmp_path, zones_of(world, egress=(RULE,))) as resolver:
            await in_thread(Asking(world, one).told, NAME)
            with make_socket(world.place(one), socket.AF_INET, socket.SOCK_STREAM) as client:
                await in_thread(client.connect, (OUTSIDE4, 7000))
                connection, _ = await in_thread(server.accept)
                with connection:
                    await resolver.publish(zones_of(world))
                    again = make_socket(world.place(one), socket.AF_INET, socket.SOCK_STREAM)
                    with again, pytest.raises(ConnectionRefusedError):
                        await in_thread(again.connect, (OUTSIDE4, 7000))
                    await in_thread(client.send, b"still here")
                    assert await in_thread(connection.recv, 100) == b"still here"


async def test_who_gets_the_address_of_an_instance_that_ended_gets_no_permission(
    world: World, tmp_path: Path
) -> None:
    one = world.of(0, 0)

    with outside(world):
        zones = zones_of(world, egress=(RULE,))
        async with resolving(world, tmp_path, zones) as resolver:
            await in_thread(Asking(world, one).told, NAME)
            residents = zones.zones[0].residents
            heirs = tuple(
                replace(other, name=InstanceName(f"{other.name}-heir"), egress=()) for other in residents
            )
            await resolver.publish(
                replace(zones, zones=(replace(zones.zones[0], residents=heirs), *zones.zones[1:]))
            )

            assert await in_thread(is_refused, world, one)


async def test_names_are_pinned_while_the_daemon_is_dead_and_stay_when_it_is_back(
    world: World, tmp_path: Path
) -> None:
    one = world.of(0, 0)

    with outside(world):
        zones = zones_of(world, egress=(RULE,))
        async with resolving(world, tmp_path, zones) as resolver:
            resolver.close()
            assert await in_thread(Asking(world, one).told, NAME) == {OUTSIDE4}
            assert await in_thread(calls, world, one)

            world.host._known_rules.clear()  # as a daemon that was started again
            await in_thread(world.apply, world.wishes)
            await resolver.publish(zones)

            assert await in_thread(calls, world, one)


async def test_pins_that_somebody_removed_are_made_again_for_the_next_name(
    world: World, tmp_path: Path
) -> None:
    one, egress = world.of(0, 0), (NameRule(to="*.example.org"),)
    asking = Asking(world, one)

    with outside(world) as upstream:
        upstream.records[NAME] = ["@ 60 A 8.8.4.4"]
        async with resolving(world, tmp_path, zones_of(world, egress=egress)) as resolver:
            await in_thread(asking.told, NAME)
            table = table_name(world.wishes.owner)
            run_inside(world.namespace, lambda: Nft().run(f"flush set inet {table} pinned4"))

            await in_thread(asking.told, "other.example.org")
            assert await in_thread(calls, world, one)

            await resolver.publish(zones_of(world, egress=(*egress, RULE)))
            assert "8.8.4.4" in await in_thread(pinned, world)


async def test_an_answer_that_cannot_be_pinned_is_not_given(world: World, tmp_path: Path) -> None:
    one = Asking(world, world.of(0, 0))

    with outside(world):
        async with resolving(world, tmp_path, zones_of(world, egress=(RULE,))):
            table = table_name(world.wishes.owner)
            run_inside(world.namespace, lambda: Nft().run(f"delete table inet {table}"))

            assert await in_thread(one.code, NAME) == "SERVFAIL"


async def test_pins_and_changes_of_the_daemon_do_not_disturb_each_other(world: World, tmp_path: Path) -> None:
    one = world.of(0, 0)
    asking = Asking(world, one)
    failures: list[NetworkError] = []

    def change() -> None:
        for number in range(200):
            try:
                world.host.change(replace(world.wishes, attachments=world.wishes.attachments[number % 2 :]))
            except NetworkError as error:
                failures.append(error)
        world.apply(world.wishes)

    with outside(world) as upstream:
        for number in range(200):
            upstream.records[f"{number}.example.org"] = [f"@ 60 A 8.8.7.{number}"]
        async with resolving(world, tmp_path, zones_of(world, egress=(NameRule(to="*.example.org"),))):
            # The asker is attached last: it stays.
            others = tuple(other for other in world.wishes.attachments if other != one)
            world.apply(replace(world.wishes, attachments=(*others, one)))
            thread = Thread(target=change)
            thread.start()
            try:
                codes = [await in_thread(asking.code, f"{number}.example.org") for number in range(200)]
            finally:
                await in_thread(thread.join)
            assert set(codes) == {"NOERROR"}
            assert failures == []
            assert (await in_thread(pinned, world)).count('"8.8.7.') == 200


@pytest.mark.slow
async def test_memory_is_bounded_whatever_an_instance_asks(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    def size(pid: int | None) -> int:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def flood(begin: int, end: int) -> None:
        for number in range(begin, end):
            asking.ask(f"{number}.example.org")

    with outside(world) as upstream:
        upstream.script = lambda query, tcp: [_large(upstream, query)]
        async with resolving(
            world, tmp_path, zones_of(world, egress=(NameRule(to="*.example.org"),))
        ) as resolver:
            await in_thread(flood, 0, 400)
            before = await in_thread(size, resolver._child)
            with trio.fail_after(100):
                await in_thread(flood, 400, 1400)
            after = await in_thread(size, resolver._child)

    assert after - before < 4096


def _large(upstream: UpstreamServer, query: dns.message.Message) -> bytes:
    name = query.question[0].name
    number = int(name.labels[0])
    response = upstream.response(query)
    response.set_rcode(dns.rcode.NOERROR)
    response.authority = []
    texts = [f"11.{number >> 8 & 255}.{number & 255}.{part}" for part in range(20)]
    response.answer = [dns.rrset.from_text_list(name, 60, "IN", "A", texts)]
    return response.to_wire()
