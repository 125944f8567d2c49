"""A tenant's network on two hosts: its instances reach each other through the tunnel, nobody else does."""

import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from kwhost.core.model.ids import TenantName
from kwhost.net.namespaces import run_inside
from pyroute2 import WireGuard

from hosts import ACME, GLOBEX, PORT, Host, two_hosts
from kwhost_net_wireguard.configuration import Configuration
from kwhost_net_wireguard.keeper import Keeper
from kwhost_net_wireguard.kernel import apply_steps
from namespaces import answers, connects, with_session

pytestmark = [pytest.mark.wireguard, pytest.mark.hw]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """For tests that leave them as they are."""
    with two_hosts(tmp_path_factory.mktemp("hosts")) as (one, two):
        one.up()
        two.up()
        yield one, two


@pytest.fixture
def own_hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Not up yet."""
    with two_hosts(tmp_path) as pair:
        yield pair


def reaches(one: Host, two: Host) -> bool:
    return connects(one.places[ACME], two.places[ACME], two.address_of(ACME, 4))


@pytest.mark.parametrize("version", [4, 6])
def test_instances_of_a_tenant_reach_each_other_across_hosts(hosts: tuple[Host, Host], version: int) -> None:
    for here, there in (hosts, hosts[::-1]):
        address = there.address_of(ACME, version)
        assert connects(here.places[ACME], there.places[ACME], address)
        assert answers(here.places[ACME], address)


def test_another_tenant_does_not(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    for version in (4, 6):
        for source, target in ((GLOBEX, ACME), (ACME, GLOBEX), (GLOBEX, GLOBEX)):
            assert not connects(one.places[source], two.places[target], two.address_of(target, version))
            assert not answers(one.places[source], two.address_of(target, version))


def test_the_hosts_themselves_do_not(hosts: tuple[Host, Host]) -> None:
    one, two = hosts

    assert not answers(one.namespace, two.address_of(ACME, 4))
    assert not answers(one.places[ACME], str(two.subnet(ACME).net4[1]), seconds=1)  # without a word


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _echo(source: str, target: str) -> bytes:
    body = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 1, 0) + ends
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + body


def test_a_false_source_from_the_peer_is_dropped(hosts: tuple[Host, Host]) -> None:
    """A host that was taken over says that its packets are from elsewhere."""
    one, two = hosts
    target, honest = one.address_of(ACME, 4), two.address_of(ACME, 4)
    false = [str(one.subnet(ACME).net4[77]), one.address_of(GLOBEX, 4), two.address_of(GLOBEX, 4), "8.8.8.8"]
    ip = 0x0800

    def sender() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ip))
        made.bind((two.device, ip))
        return made

    def listener() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ip))
        made.bind(("eth0", ip))
        made.settimeout(10)
        return made

    heard: set[str] = set()
    with run_inside(two.namespace, sender) as out, run_inside(one.places[ACME], listener) as ears:
        for source in (*false, honest):
            out.sendto(_echo(source, target), (two.device, ip))
        while honest not in heard:
            heard.add(str(IPv4Address(ears.recv(2048)[12:16])))

    assert heard.isdisjoint(false)


def test_what_is_done_is_not_done_again(hosts: tuple[Host, Host]) -> None:
    for host in hosts:
        for keeper in (Keeper(host.state_dir), Keeper(host.state_dir)):
            assert run_inside(host.namespace, lambda k=keeper, h=host: k.tend(h.configuration, [ACME])) == ()


def test_metrics_tell_of_peers(hosts: tuple[Host, Host]) -> None:
    one, two = hosts
    assert reaches(one, two)

    metrics = run_inside(one.namespace, lambda: Keeper(one.state_dir).metrics(one.configuration))

    labels = {"tenant": "acme", "peer": two.tunnel()["public_key"]}
    values = {metric.name: metric.samples[0].value for metric in metrics}
    assert [metric.samples[0].labels for metric in metrics] == [labels] * 3
    assert 0 <= values["kwhost_wireguard_handshake_age_seconds"] < 300
    assert values["kwhost_wireguard_sent_bytes_total"] > 20_000
    assert values["kwhost_wireguard_received_bytes_total"] > 0


def tend(host: Host, configuration: Configuration | None = None, *tenants: TenantName) -> tuple[Any, ...]:
    """As a daemon that was started just now does it."""
    wanted = configuration or host.configuration
    return run_inside(host.namespace, lambda: Keeper(host.state_dir).tend(wanted, tenants or (ACME,)))


def links(host: Host) -> set[str]:
    return {
        link.get_attr("IFLA_IFNAME") for link in with_session(host.namespace, lambda s: list(s.get_links()))
    }


def _wireguard(host: Host, **changes: object) -> None:
    def change() -> None:
        with WireGuard() as session:
            session.set(host.device, **changes)

    run_inside(host.namespace, change)


def _link(host: Host, **changes: object) -> None:
    with_session(
        host.namespace, lambda s: s.link("set", index=s.link_lookup(ifname=host.device)[0], **changes)
    )


DAMAGES: dict[str, Callable[[Host, str], None]] = {
    "the device": lambda host, _: with_session(host.namespace, lambda s: s.link("del", ifname=host.device)),
    "the peer": lambda host, peer: _wireguard(host, peer={"public_key": peer, "remove": True}),
    "its subnets": lambda host, peer: _wireguard(
        host, peer={"public_key": peer, "replace_allowed_ips": True, "allowed_ips": ["10.1.0.0/16"]}
    ),
    "its keepalive": lambda host, peer: _wireguard(
        host, peer={"public_key": peer, "persistent_keepalive": 7}
    ),
    "the port": lambda host, _: _wireguard(host, listen_port=PORT + 7),
    "the key": lambda host, _: _wireguard(host, private_key="QA" + "A" * 41 + "="),
    "the mtu": lambda host, _: _link(host, mtu=1300),
    "the alias": lambda host, _: _link(host, ifalias="mine"),
    "the group": lambda host, _: _link(host, group=3),
    "its state": lambda host, _: _link(host, state="down"),
}


def test_what_is_removed_or_changed_by_hand_is_put_back(own_hosts: tuple[Host, Host]) -> None:
    one, two = own_hosts
    one.up()
    two.up()
    peer = str(two.tunnel()["public_key"])

    for name, damage in DAMAGES.items():
        damage(one, peer)
        assert tend(one) or name == "its state", name  # that is kwhost's
        assert tend(one) == (), name
        one.up()
        assert reaches(one, two), name


def test_a_kill_between_any_two_steps_is_repaired_by_the_next_start(own_hosts: tuple[Host, Host]) -> None:
    one, two = own_hosts
    two.up()
    nothing = Configuration()

    for start, goal in ((nothing, one.configuration), (one.configuration, nothing)):
        tend(one, start)
        todo = run_inside(one.namespace, lambda goal=goal: Keeper(one.state_dir).plan(goal, [ACME]))
        assert todo
        for count in range(len(todo)):
            run_inside(one.namespace, lambda part=todo[:count]: apply_steps(part))
            tend(one, goal)
            assert run_inside(one.namespace, lambda g=goal: Keeper(one.state_dir).plan(g, [ACME])) == ()
            tend(one, start)

    one.up()
    assert reaches(one, two)


def test_what_nobody_wants_goes_and_others_devices_stay(own_hosts: tuple[Host, Host]) -> None:
    one, two = own_hosts
    one.up()
    # Another kwhost of the same host, and somebody's own.
    other = Keeper(two.state_dir)
    run_inside(one.namespace, lambda: other.uplinks(two.configuration, ACME, two.subnet(ACME)))
    with_session(one.namespace, lambda s: s.link("add", ifname="wg0", kind="wireguard"))

    assert [str(step) for step in tend(one, Configuration())] == [f"remove the WireGuard device {one.device}"]

    assert {two.device, "wg0"} <= links(one)
    assert one.device not in links(one)


def test_a_peer_that_moved_is_found_where_the_configuration_says(own_hosts: tuple[Host, Host]) -> None:
    one, two = own_hosts
    one.join({**two.tunnel(), "endpoint": "192.0.2.200:1"})
    one.up()
    two.up()
    keeper = Keeper(one.state_dir)
    run_inside(one.namespace, lambda: keeper.tend(one.configuration, [ACME]))

    assert reaches(two, one)  # it calls, and is known from then on
    assert run_inside(one.namespace, lambda: keeper.tend(one.configuration, [ACME])) == ()
    assert reaches(one, two)
