"""What an ordinary user's instance is connected by: pasta's arguments, and the rules in its namespace."""

import os
import select
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.mounts import MountKind
from kwhost.core.model.network import Address, EgressRule, PortSpan, PublishedPort, Transport
from kwhost.core.model.ports import parse_port
from kwhost.core.supervise import driver
from kwhost.core.supervise.driver import Driven, prepare_driven
from kwhost.net.guard import guard_rules, host_addresses
from kwhost.net.pasta import Ends, Pasta, missing_pasta, plan_pasta

ENDS = Ends(user=3, net=4, ready=5, log=6)
WEB = EgressRule(to=IPv4Network("0.0.0.0/0"), transport=Transport.TCP, ports=PortSpan(443, 443))


def options(*ports: str) -> list[tuple[str, str]]:
    """Each argument with what follows it."""
    plan = plan_pasta("/usr/bin/pasta", [parse_port(text) for text in ports], ENDS)
    return list(zip(plan, (*plan[1:], ""), strict=True))


def test_nothing_leads_to_the_hosts_loopback() -> None:
    plan = options()

    assert "--no-map-gw" in dict(plan)
    assert ("--tcp-ns", "none") in plan
    assert ("--udp-ns", "none") in plan


def test_nothing_is_published_that_was_not_asked_for() -> None:
    plan = options()

    assert ("--tcp-ports", "none") in plan
    assert ("--udp-ports", "none") in plan


def test_ports_are_published_where_they_are_asked_for() -> None:
    plan = options("8080:80", "[::1]:8081:80", "0.0.0.0:8443:443", "192.0.2.1:53:5353/udp")

    assert [value for option, value in plan if option == "--tcp-ports"] == [
        "127.0.0.1/8080:80",
        "::1/8081:80",
        "0.0.0.0/8443:443",
    ]
    assert [value for option, value in plan if option == "--udp-ports"] == ["192.0.2.1/53:5353"]


def test_a_port_that_somebody_has_is_a_conflict() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = PublishedPort(port=taken.getsockname()[1], target=80)

        with pytest.raises(Conflict, match=f"127.0.0.1:{port.port}.* in use"):
            Pasta([port]).check_ports()


def test_a_port_number_has_one_target() -> None:
    ports = [parse_port("127.0.0.1:18080:80"), parse_port("127.0.0.2:18080:81")]

    with pytest.raises(Conflict, match="one target"):
        Pasta(ports).check_ports()


def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "apt-get install passt" in missing_pasta()


def test_a_device_that_cannot_be_opened_is_found_before_pasta_would_hang(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pasta").write_text("")
    (tmp_path / "pasta").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("kwhost.net.pasta._TUN", str(tmp_path / "tun"))

    assert f"{tmp_path}/tun cannot be opened (No such file or directory)" in missing_pasta()


def rules(egress: Sequence[EgressRule] = (), host: Sequence[Address] = ()) -> list[str]:
    return [line.strip() for line in guard_rules(egress, host).splitlines()]


def test_what_is_not_allowed_is_refused() -> None:
    lines = rules()

    assert "type filter hook output priority filter; policy drop;" in lines
    assert lines[-3] == "goto refuse"


def test_the_hosts_own_addresses_come_before_what_is_allowed() -> None:
    lines = rules([WEB], [ip_address("198.51.100.7"), ip_address("2001:db8::7")])

    assert "set host4 { type ipv4_addr; flags interval; elements = { 198.51.100.7 } }" in lines
    assert "set host6 { type ipv6_addr; flags interval; elements = { 2001:db8::7 } }" in lines
    for version, word in ((4, "ip"), (6, "ip6")):
        refused = lines.index(f"{word} daddr @host{version} goto refuse")
        allowed = [number for number, line in enumerate(lines) if f"@egress{version} accept" in line]
        assert refused < min(allowed)


def test_what_is_allowed_is_in_the_sets() -> None:
    private = EgressRule(to=IPv6Network("fd00::/16"))
    text = guard_rules([WEB, private], ())

    assert "elements = { 0.0.0.0/0 . tcp . 443 }" in text
    assert (
        "set inner6 { type ipv6_addr . inet_proto . inet_service; flags interval; elements = { fd00::/16"
        in text
    )


def test_the_hosts_addresses_are_read_from_its_tables(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(
        "Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link UNICAST\n"
        "        |-- 192.0.2.7\n           /32 host LOCAL\n           |-- 192.0.2.255\n"
        "              /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text("20010db8000000000000000000000007 02 40 00 80     eth0\n")

    assert set(map(str, host_addresses(tmp_path))) == {"127.0.0.1", "192.0.2.7", "2001:db8::7"}


def test_a_host_without_ipv6_has_no_such_addresses(tmp_path: Path) -> None:
    assert host_addresses(tmp_path) == ()


class AbsentDriver:
    """There is none here."""

    def missing(self) -> str:
        return "there is none: install it"


def test_without_a_driver_an_instance_has_its_loopback_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "load_driver", lambda *_: AbsentDriver())

    assert prepare_driven(()) == Driven(
        lacking="it has no network but its own loopback: there is none: install it"
    )


def test_without_a_driver_ports_cannot_be_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "load_driver", lambda *_: AbsentDriver())

    with pytest.raises(NetworkError, match="cannot publish ports: there is none"):
        prepare_driven([parse_port("8080:80")])


def test_an_instance_asks_the_hosts_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwhost.net.pasta.missing_pasta", lambda: "")

    driven = prepare_driven(())

    assert driven.driver
    (file,) = driven.files
    assert (file.kind, file.target) == (MountKind.FILE, "/etc/resolv.conf")
    assert file.source
    assert "nameserver 10.0.2.3" in file.source.splitlines()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What is started instead of pasta, without rules."""
    fake = tmp_path / "pasta"
    fake.write_text("#!/bin/sh\necho first >&2\necho the reason >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("kwhost.net.pasta.missing_pasta", lambda: "")
    monkeypatch.setattr("kwhost.net.pasta.Guard", FakeGuard)
    return fake


def begin(pasta: Pasta) -> tuple[int, int]:
    with open("/proc/self/ns/net") as net:
        return pasta.begin(net.fileno(), net.fileno())


@pytest.mark.usefixtures("fake")
def test_a_program_that_does_not_start_is_told_with_its_last_words() -> None:
    pasta = Pasta(())
    process, lifeline = begin(pasta)

    with pytest.raises(NetworkError, match="pasta did not start: the reason"):
        pasta.finish()
    os.close(process)
    os.close(lifeline)


def test_it_ends_when_nobody_has_its_lifeline_any_more(fake: Path) -> None:
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    pasta = Pasta(())
    process, lifeline = begin(pasta)
    copy = os.dup(lifeline)
    ended = select.poll()
    ended.register(process, select.POLLIN)

    os.close(lifeline)
    assert not ended.poll(0)
    os.close(copy)

    assert ended.poll(10_000)
    os.close(process)
    pasta.end()


class FakeGuard:
    """Rules that hold at once."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass
