"""Instances find each other by name and nobody else's; the rest is asked of others, carefully."""

import os
import random
import signal
import socket
import struct
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.reversename
import dns.rrset
import pytest
import trio

from kwhost.core.errors import NetworkError
from kwhost.net.namespaces import run_inside
from kwhost.net.resolving import Resolver
from kwhost.net.resolving_process import bind_at
from kwhost.net.zones import gateways
from tests.net.names import Asking, in_thread, resolving, zones_of
from tests.net.probes import SILENCE, make_socket
from tests.net.upstream import serve_upstream
from tests.net.world import HOST4, OUTSIDE4, World
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_names_are_visible_inside_their_tenant_alone(
    world: World, tmp_path: Path, version: int, tcp: bool
) -> None:
    one, two = world.of(0, 0), world.of(0, 1)
    mine, theirs = Asking(world, one, version), Asking(world, world.of(1, 0), version)

    async with resolving(world, tmp_path):
        for name in ("two", "two.acme", "two.acme.kwhost"):
            assert await in_thread(mine.told, name, tcp=tcp) == {str(two.address4)}
            assert await in_thread(mine.told, name, "AAAA", tcp=tcp) == {str(two.address6)}
        pointer = str(dns.reversename.from_address(str(two.address4)))
        assert await in_thread(mine.told, pointer, "PTR", tcp=tcp) == {"two.acme.kwhost."}
        assert await in_thread(theirs.code, "two.acme.kwhost") == "NXDOMAIN"
        assert await in_thread(theirs.code, pointer, "PTR") == "NXDOMAIN"
        assert await in_thread(theirs.told, "two", tcp=tcp) == {str(world.of(1, 1).address4)}


async def test_replicas_are_told_in_turns(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    async with resolving(world, tmp_path):
        answers = [(await in_thread(asking.ask, "all")).answer[0] for _ in range(6)]

    addresses = {str(world.of(0, number).address4) for number in range(3)}
    assert all({str(one) for one in answer} == addresses for answer in answers)
    firsts = [str(answer[0]) for answer in answers]
    assert set(firsts[:3]) == addresses
    assert firsts[3:] == firsts[:3]


async def test_a_tenant_that_is_gone_may_come_back_at_once(world: World, tmp_path: Path) -> None:
    """Its sockets are closed when the resolver has taken note, also with a connection to them."""
    asking, zones = Asking(world, world.of(0, 0)), zones_of(world)
    others = replace(zones, zones=zones.zones[1:])

    async with resolving(world, tmp_path) as resolver:
        for _ in range(20):
            assert await in_thread(asking.told, "two", tcp=True)
            await resolver.publish(others)
            await resolver.publish(zones)


async def test_nobody_asks_at_another_tenants_gateway(world: World, tmp_path: Path) -> None:
    """Not even from the host's own addresses, where no rule of the network refuses it."""
    gateway = Asking(world, world.of(1, 0)).server

    async with resolving(world, tmp_path) as resolver:
        with make_socket(world.namespace, socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((HOST4, 0))
            asking.settimeout(SILENCE)
            asking.sendto(dns.message.make_query("one", "A").to_wire(), (gateway, 53))
            with pytest.raises(TimeoutError):
                await in_thread(asking.recv, 100)
        counts = await resolver.counts()

    assert counts[world.of(1, 0).tenant] == {"dropped": 1}


async def test_names_of_others_are_asked_of_others_and_kept(world: World, tmp_path: Path) -> None:
    asking, other = Asking(world, world.of(0, 0)), Asking(world, world.of(1, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["www.example.org"] = ["@ 60 CNAME cdn.example.net.", "cdn.example.net. 60 A 8.8.4.4"]
        async with resolving(world, tmp_path):
            for _ in range(3):
                assert await in_thread(asking.told, "www.example.org") == {"cdn.example.net.", "8.8.4.4"}
            assert await in_thread(asking.code, "nobody.example.org") == "NXDOMAIN"
            assert upstream.asked == ["www.example.org", "nobody.example.org"]

            await in_thread(other.told, "www.example.org")  # no tenant sees what another one asked

    assert upstream.asked.count("www.example.org") == 2


async def test_nothing_private_is_asked_of_others(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        async with resolving(world, tmp_path):
            for name in ("one.globex.kwhost", "x.kwhost", "nobody", "printer.local"):
                assert await in_thread(asking.code, name) == "NXDOMAIN"
            for address in ("10.1.2.3", "192.168.7.2", "169.254.169.254", "fd99::2", "fe80::1"):
                pointer = str(dns.reversename.from_address(address))
                assert await in_thread(asking.code, pointer, "PTR") == "NXDOMAIN"

        assert upstream.asked == []


async def test_without_permission_names_of_others_are_refused(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        async with resolving(world, tmp_path, zones_of(world, forwards=False)):
            assert await in_thread(asking.code, "www.example.org") == "REFUSED"

        assert upstream.asked == []


async def test_a_name_of_others_does_not_lead_to_private_addresses(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["rebind.example.org"] = ["@ 60 A 127.0.0.1", "@ 60 A 169.254.169.254"]
        upstream.records["intranet.example.org"] = ["@ 60 A 192.168.7.2"]
        async with resolving(world, tmp_path) as resolver:
            assert await in_thread(asking.told, "rebind.example.org") == set()

            await resolver.publish(zones_of(world, private=True))
            assert await in_thread(asking.told, "intranet.example.org") == {"192.168.7.2"}


async def test_forged_answers_are_ignored(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["www.example.org"] = ["@ 60 A 8.8.4.4"]

        def forged(query: dns.message.Message, by_tcp: bool) -> list[bytes]:
            wrong_number, wrong_name, wrong_case = (upstream.response(query) for _ in range(3))
            for one in (wrong_number, wrong_name):
                one.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "6.6.6.6")]
            wrong_number.id ^= 1
            wrong_name.question = dns.message.make_query("www.example.com", "A").question
            return [b"\0" * 12, wrong_number.to_wire(), wrong_name.to_wire(), wrong_case.to_wire()]

        upstream.script = forged
        async with resolving(world, tmp_path):
            assert await in_thread(asking.told, "www.example.org") == {"8.8.4.4"}


async def test_who_does_not_repeat_the_case_of_a_name_is_asked_by_tcp(world: World, tmp_path: Path) -> None:
    asking, transports = Asking(world, world.of(0, 0)), []

    with serve_upstream(world.outside, OUTSIDE4) as upstream:

        def lower(query: dns.message.Message, by_tcp: bool) -> list[bytes]:
            transports.append("tcp" if by_tcp else "udp")
            response = upstream.response(query)
            for one in response.question:
                one.name = one.name.canonicalize()
            address = "8.8.4.4" if by_tcp else "6.6.6.6"
            response.answer = [dns.rrset.from_text(response.question[0].name, 60, "IN", "A", address)]
            return [response.to_wire()]

        upstream.script = lower
        async with resolving(world, tmp_path):
            assert await in_thread(asking.told, "a-long-name.example.org") == {"8.8.4.4"}

    assert transports == ["udp", "tcp"]


async def test_a_long_answer_comes_by_tcp_on_both_sides(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["long.example.org"] = [f"@ 60 TXT {number:0200d}" for number in range(20)]

        def cut(query: dns.message.Message, by_tcp: bool) -> list[bytes]:
            response = upstream.response(query)
            return [response.to_wire(max_size=65_535 if by_tcp else 1232, prefer_truncation=True)]

        upstream.script = cut
        async with resolving(world, tmp_path):
            short = await in_thread(asking.ask, "long.example.org", "TXT")
            whole = await in_thread(asking.ask, "long.example.org", "TXT", tcp=True)

    assert short.flags & dns.flags.TC
    assert len(short.to_wire()) <= 512
    assert len(whole.answer[0]) == 20


async def test_a_dead_resolver_of_others_is_passed_over(world: World, tmp_path: Path) -> None:
    asking, zones = Asking(world, world.of(0, 0)), zones_of(world)
    zones = replace(zones, upstreams=(zones.upstreams[0]._replace(port=5353), *zones.upstreams))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["www.example.org"] = ["@ 60 A 8.8.4.4"]
        async with resolving(world, tmp_path, zones):
            assert await in_thread(asking.told, "www.example.org") == {"8.8.4.4"}


async def test_a_flood_of_one_tenant_does_not_starve_another(world: World, tmp_path: Path) -> None:
    """Nobody answers the flood's questions, and they come faster than any resolver could read them."""
    flooding, asking = Asking(world, world.of(0, 0)), Asking(world, world.of(1, 0))
    over = trio.Event()

    def flood() -> None:
        deadline, number = time.monotonic() + SECONDS, 0
        with flooding.socket() as asked:
            while not over.is_set() and time.monotonic() < deadline:
                for _ in range(100):
                    number += 1
                    query = struct.pack("!6H", number & 0xFFFF, 0x100, 1, 0, 0, 0)
                    asked.send(query + b"\x06%06d\x03org\0\0\1\0\1" % (number % 1_000_000))

    with serve_upstream(world.outside, OUTSIDE4) as upstream:
        upstream.records["www.example.org"] = ["@ 0 A 8.8.4.4"]
        honest = upstream.script
        upstream.script = lambda query, tcp: (
            honest(query, tcp) if "example" in str(query.question).lower() else []
        )
        async with resolving(world, tmp_path) as resolver, trio.open_nursery() as nursery:
            nursery.start_soon(in_thread, flood)
            try:
                with trio.fail_after(SECONDS):
                    while not (await resolver.counts())[flooding.one.tenant].get("too many"):
                        await trio.sleep(0.01)
                took = []
                for _ in range(20):
                    begin = time.monotonic()
                    assert await in_thread(asking.told, "two") == {str(world.of(1, 1).address4)}
                    assert await in_thread(asking.told, "www.example.org") == {"8.8.4.4"}
                    took.append(time.monotonic() - begin)
            finally:
                over.set()
        assert sorted(took)[10] < 0.5


async def test_connections_are_limited_for_each_instance(world: World, tmp_path: Path) -> None:
    asking, other = Asking(world, world.of(0, 0)), Asking(world, world.of(0, 1))

    async with resolving(world, tmp_path):
        idle = [await in_thread(asking.socket, socket.SOCK_STREAM) for _ in range(20)]
        try:
            assert await in_thread(other.told, "two", tcp=True) == {str(world.of(0, 1).address4)}
            closed = [one for one in idle if _is_closed(one)]
        finally:
            for one in idle:
                one.close()
    assert len(closed) == 20 - 8


def _is_closed(one: socket.socket) -> bool:
    one.settimeout(0)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False


async def test_garbage_does_no_harm(world: World, tmp_path: Path) -> None:
    asking, dice = Asking(world, world.of(0, 0)), random.Random(1)

    async with resolving(world, tmp_path):
        with asking.socket() as datagrams, asking.socket(socket.SOCK_STREAM) as stream:
            for size in (0, 1, 11, 12, 13, 500, 1232, 1233, 9000):
                datagrams.send(dice.randbytes(size))
            stream.sendall(dice.randbytes(3000))
        assert await in_thread(asking.told, "two") == {str(world.of(0, 1).address4)}


async def test_names_are_answered_while_the_daemon_is_dead_and_the_next_one_finds_all(
    world: World, tmp_path: Path
) -> None:
    asking, other = Asking(world, world.of(0, 0)), Asking(world, world.of(1, 0))

    async with resolving(world, tmp_path) as first:
        pid = first._child
        first.close()
        first._child = None  # nobody's child, as when its parent is killed
        assert await in_thread(asking.told, "two") == {str(world.of(0, 1).address4)}

        zones = zones_of(world)
        second = Resolver(tmp_path, namespace=world.namespace)
        await second.publish(replace(zones, zones=zones.zones[:1]))
        try:
            assert second._child is None
            assert await in_thread(asking.told, "two") == {str(world.of(0, 1).address4)}
            await second.publish(zones)
            assert await in_thread(other.told, "two") == {str(world.of(1, 1).address4)}
        finally:
            await second.stop()
        assert pid is not None
        await in_thread(os.waitpid, pid, 0)


async def test_a_resolver_of_another_version_is_replaced(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(world, world.of(0, 0))

    async with resolving(world, tmp_path) as first:
        pid = await first.process()
        first.close()
        monkeypatch.setattr("kwhost.net.resolving.PROTOCOL", 3)
        second = Resolver(tmp_path, namespace=world.namespace)
        await second.publish(zones_of(world))
        try:
            assert await second.process() != pid
            assert await in_thread(asking.told, "two") == {str(world.of(0, 1).address4)}
        finally:
            await second.stop()


async def test_a_resolver_that_is_killed_is_started_again(world: World, tmp_path: Path) -> None:
    asking = Asking(world, world.of(0, 0))

    async with resolving(world, tmp_path) as resolver, trio.open_nursery() as nursery:
        nursery.start_soon(resolver.keep)
        pid = resolver._child
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with trio.fail_after(SECONDS):
            while resolver._child in (pid, None) or resolver._link is None:
                await trio.sleep(0.01)
        async with resolver._turn:
            pass
        assert await in_thread(asking.told, "two") == {str(world.of(0, 1).address4)}
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("found", [False, True], ids=["its own", "of an earlier daemon"])
async def test_a_question_that_comes_after_a_resolver_was_killed_is_answered(
    world: World, tmp_path: Path, found: bool
) -> None:
    """And nobody can take its place meanwhile."""
    asking, question = Asking(world, world.of(0, 0)), dns.message.make_query("two", "A").to_wire()

    async with resolving(world, tmp_path) as first, AsyncExitStack() as closing:
        process, resolver = first._child, first
        assert process
        if found:
            first.close()
            resolver = Resolver(tmp_path, namespace=world.namespace)
            closing.callback(resolver.close)
            await resolver.publish(zones_of(world))
        os.kill(process, signal.SIGKILL)
        await in_thread(os.waitid, os.P_PID, process, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NetworkError, match="Address already in use"):
            run_inside(world.namespace, lambda: bind_at(gateways(zones_of(world).zones[0])))
        with asking.socket() as waiting:
            waiting.send(question)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(resolver.keep)
                answer = dns.message.from_wire(await in_thread(waiting.recv, 4096))
                nursery.cancel_scope.cancel()

    assert str(answer.answer[0][0]) == str(world.of(0, 1).address4)


async def test_the_process_has_no_other_right_than_to_change_the_network(
    world: World, tmp_path: Path
) -> None:
    async with resolving(world, tmp_path) as resolver:
        process = Path(f"/proc/{resolver._child}")
        text = await in_thread((process / "status").read_text)
        links = [os.readlink(process / f"fd/{fd}") for fd in range(3)]

    status = dict(line.split(":\t") for line in text.splitlines())

    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 1 << 12
    assert int(status["CapBnd"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert set(status["Uid"].split()) == {str((1 << 31) + 53)}
    assert status["Groups"].strip() == ""
    assert links == ["/dev/null", str(tmp_path / "resolve.log"), str(tmp_path / "resolve.log")]


async def test_a_port_that_is_taken_is_an_error_that_says_so(world: World, tmp_path: Path) -> None:
    with make_socket(world.namespace, socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 53))
        with pytest.raises(NetworkError, match=r"port 53: Address already in use \(does another"):
            async with resolving(world, tmp_path):
                pass
