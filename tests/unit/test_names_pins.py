"""What an instance was told of a name that it may call, it may call: that long, and no more than that."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import UsageError
from kwhost.core.model.network import NameRule, PortSpan, Transport, host_pattern
from kwhost.net.egress import pinned_keys
from kwhost.net.names import owner_of, table_name
from kwhost.net.resolver.pins import Pins, matching

OWNER = owner_of("/var/lib/kwhost")
TABLE = f"inet {table_name(OWNER)}"
OWN, TARGET = IPv4Address("10.88.1.2"), IPv4Address("8.8.8.8")
HTTPS = NameRule(to="example.org", transport=Transport.TCP, ports=PortSpan(443, 443))
ANY = NameRule(to="*.example.org")
KEY = "10.88.1.2 . 8.8.8.8 . tcp . 443"

spans = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda pair: PortSpan(min(pair), max(pair)))
rules = st.builds(
    NameRule, to=st.just("example.org"), transport=st.sampled_from(Transport), ports=spans
) | st.just(ANY)


def test_a_name_matches_itself_and_a_pattern_what_is_below() -> None:
    assert matching((HTTPS, ANY), "example.org") == (HTTPS,)
    assert matching((HTTPS, ANY), "www.example.org") == (ANY,)
    assert matching((HTTPS, ANY), "badexample.org") == ()


def test_a_pin_is_added_with_its_time() -> None:
    assert Pins(OWNER).add(OWN, [TARGET], (HTTPS,), 300, 0) == (
        f"add element {TABLE} pinned4 {{ {KEY} timeout 330s }}\n"
    )


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 150), (100_000, 3630)])
def test_its_time_is_bounded(ttl: int, seconds: int) -> None:
    assert f"timeout {seconds}s" in Pins(OWNER).add(OWN, [TARGET], (HTTPS,), ttl, 0)


def test_a_pin_lacks_only_when_it_ends_too_early() -> None:
    pins = Pins(OWNER)
    assert pins.lacking(OWN, [TARGET], (HTTPS,), 60) == [TARGET]

    pins.add(OWN, [TARGET], (HTTPS,), 60, 0)

    assert pins.lacking(OWN, [TARGET], (HTTPS,), 60) == []
    assert pins.lacking(OWN, [TARGET], (HTTPS,), 600) == [TARGET]
    assert pins.lacking(OWN, [TARGET], (HTTPS, ANY), 60) == [TARGET]


def test_a_pin_that_is_renewed_replaces_itself() -> None:
    pins = Pins(OWNER)
    pins.add(OWN, [TARGET], (HTTPS,), 60, 0)

    assert pins.add(OWN, [TARGET], (HTTPS,), 600, 100) == (
        f"add element {TABLE} pinned4 {{ {KEY} timeout 1s }}\n"
        f"delete element {TABLE} pinned4 {{ {KEY} }}\n"
        f"add element {TABLE} pinned4 {{ {KEY} timeout 630s }}\n"
    )


def test_what_is_not_permitted_any_more_is_gone() -> None:
    pins = Pins(OWNER)
    pins.add(OWN, [TARGET], (HTTPS, ANY), 60, 0)
    assert pins.keep({OWN: (HTTPS, ANY)}, 0).count("delete") == 0
    assert pins.keep({OWN: (HTTPS,)}, 0).count("delete") == 1
    assert pins.everything(0).count(" timeout ") == 1

    assert pins.keep({}, 0).count("delete") == 1

    assert pins.everything(0) == f"flush set {TABLE} pinned4\nflush set {TABLE} pinned6\n"
    assert pins.count() == 0


def test_one_instance_has_a_bounded_number() -> None:
    pins = Pins(OWNER)
    for number in range(2000):
        pins.add(OWN, [IPv4Address(0x08000000 + number)], (HTTPS,), 60, 0)

    assert pins.count() == 512
    assert pins.lacking(OWN, [IPv4Address(0x08000000 + 1999)], (HTTPS,), 60) == []


def within(value: int, span: str) -> bool:
    first, _, last = span.partition("-")
    return int(first) <= value <= int(last or first)


def covered(key: tuple[str, ...], port: int) -> bool:
    numbers = {"tcp": "6", "udp": "17", "icmp": "1"}
    return within(6, numbers.get(key[2], key[2])) and within(port, key[3])


@given(st.lists(st.tuples(st.sampled_from([10.0, 20.0]), rules), max_size=4), st.integers(1, 9))
def test_a_port_is_open_once_and_until_the_last_rule_ends(
    until: list[tuple[float, NameRule]], port: int
) -> None:
    times = pinned_keys(OWN, TARGET, until)
    wanted = [
        time
        for time, rule in until
        if rule.transport in (None, Transport.TCP)
        and (rule.ports is None or rule.ports[0] <= port <= rule.ports[1])
    ]

    assert [time for key, time in times.items() if covered(key, port)] == ([max(wanted)] if wanted else [])


def test_pins_of_both_families_are_in_their_sets() -> None:
    text = Pins(OWNER).add(IPv6Address("fd00::2"), [IPv6Address("2606:4700::8")], (ANY,), 60, 0)

    assert text == (
        f"add element {TABLE} pinned6 {{ fd00::2 . 2606:4700::8 . 0-255 . 0-65535 timeout 150s }}\n"
    )


@pytest.mark.parametrize(
    "text", ["example.org", "*.example.org", "Example.ORG.", "a-b.xn--p1ai", "_x.a.b", "*.internal"]
)
def test_host_names_are_patterns(text: str) -> None:
    assert host_pattern(text) == text.lower().removesuffix(".")


@pytest.mark.parametrize(
    "text", ["", "org", "*", "*.", "a..b", "-a.org", "a.*.org", "1.2.3.4", "a.b/c", f"{'a.' * 130}org"]
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no host name"):
        host_pattern(text)
