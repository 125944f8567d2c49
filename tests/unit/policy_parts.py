"""Policies for tests: from text, and at random in a world small enough that rules meet."""

from ipaddress import ip_address, ip_network
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from kwhost.core.config.problems import ConfigErrors
from kwhost.core.policy.calls import Width
from kwhost.core.policy.destinations import Destination, Direction, PortRange, Protocol
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import (
    ALLOW,
    Access,
    Action,
    CallRule,
    Comparison,
    Condition,
    DefaultRule,
    FileRule,
    Layer,
    NetworkRule,
    Origin,
    Policy,
    Verdict,
)
from kwhost.core.policy.patterns import parse_pattern
from kwhost.core.policy.sets import expand

FILE = Path("web.toml")
# Compiling takes milliseconds, on a busy machine many more: no promise about time.
untimed = settings(deadline=None)


def policy_from(text: str) -> Policy:
    """The policy that a file with this content is."""
    return read_policy_file(FILE, text.encode())


def policy_mistakes(text: str) -> list[str]:
    """What is said against a policy file, without its name."""
    try:
        policy_from(text)
    except ConfigErrors as error:
        return [line.removeprefix(f"{FILE}:") for line in error.lines]
    return []


def in_layer(*policies: Policy) -> list[Layer]:
    """Layers named a, b, c, ..."""
    return [Layer(chr(ord("a") + index), policy) for index, policy in enumerate(policies)]


verdicts = st.sampled_from(
    [
        ALLOW,
        Verdict(Action.LOG),
        Verdict(Action.ASK),
        Verdict(Action.ERRNO, 1),
        Verdict(Action.ERRNO, 38),
        Verdict(Action.KILL),
    ]
)
origins = st.builds(Origin, st.just("p"), st.just("p.toml:1: x"), st.integers(0, 2))
_values = st.sampled_from([0, 1, 2, 3, 4, 0x80, 0xFFFF_FFFF])
_masks = st.sampled_from([Width.INT.mask, Width.LONG.mask, 0x1, 0x3, 0x83])
conditions = st.builds(
    lambda argument, comparison, mask, value: Condition(
        argument, comparison, mask, value & mask, f"& {mask} {comparison.value} {value & mask}"
    ),
    st.integers(0, 2),
    st.sampled_from(Comparison),
    _masks,
    _values,
)
_one_call = st.sampled_from(["read", "openat", "socket", "ioctl"])
_sets = st.sampled_from(["@basic-io", "@file-system", "@network-io", "@system-service"])
argument_rules = st.builds(
    lambda name, some, verdict, origin: CallRule(
        name=name,
        calls=expand(name),
        conditions=tuple({condition.argument: condition for condition in some}.values()),
        verdict=verdict,
        origin=origin,
    ),
    _one_call,
    st.lists(conditions, max_size=3),
    verdicts,
    origins,
)
set_rules = st.builds(
    lambda name, verdict, origin: CallRule(name=name, calls=expand(name), verdict=verdict, origin=origin),
    _sets,
    verdicts,
    origins,
)
_components = st.sampled_from(["a", "b", "ab", "*", "a*", "?b", "**", "a?", "*b*"])
patterns = st.lists(_components, max_size=4).map(lambda names: parse_pattern("/" + "/".join(names)))
paths = st.lists(st.sampled_from(["a", "b", "ab", "bb", "aab"]), max_size=4).map(
    lambda names: ("/" + "/".join(names)).encode()
)
accesses = st.integers(0, 7).map(Access)
file_rules = st.builds(FileRule, pattern=patterns, access=accesses, origin=origins)
_prefixes = st.sampled_from(
    [None]
    + [
        ip_network(text)
        for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32", "::1/128")
    ]
)
_ports = st.lists(
    st.sampled_from([PortRange(80, 80), PortRange(400, 500), PortRange(1, 65535)]), max_size=2, unique=True
).map(tuple)
_protocols = st.sampled_from([None, Protocol.TCP, Protocol.UDP])
destinations = st.builds(
    Destination, direction=st.just(Direction.TO), prefix=_prefixes, ports=_ports, protocol=_protocols
) | st.builds(Destination, direction=st.just(Direction.LISTEN), ports=_ports, protocol=_protocols)
network_rules = st.builds(NetworkRule, destination=destinations, verdict=verdicts, origin=origins)
policies = st.builds(
    Policy,
    name=st.just("p"),
    default=st.builds(DefaultRule, verdict=verdicts, origin=origins),
    calls=st.lists(argument_rules | set_rules, max_size=8).map(tuple),
    files=st.lists(file_rules, max_size=6).map(tuple),
    network=st.lists(network_rules, max_size=6).map(tuple),
)
path_uses = st.builds(PathUse, paths, st.integers(1, 7).map(Access))
_addresses = st.sampled_from(
    [
        "10.1.2.3",
        "10.1.9.9",
        "10.2.0.0",
        "192.0.2.1",
        "0.0.0.0",
        "::",
        "::ffff:10.1.2.3",
        "2001:db8::1",
        "::1",
    ]
).map(ip_address)
address_uses = st.builds(
    AddressUse, st.sampled_from(Direction), _addresses, st.sampled_from([80, 81, 443, 500]), _protocols
)
registers = st.sampled_from([0, 1, 2, 3, 4, 0x80, 0x83, 0xFFFF_FFFF, 1 << 32, (1 << 32) + 1, 2**64 - 1])
calls = st.builds(
    Call,
    st.sampled_from(["read", "openat", "socket", "ioctl", "mount", "connect"]),
    st.tuples(*[registers] * 3),
    st.lists(path_uses, max_size=2).map(tuple),
    st.lists(address_uses, max_size=1).map(tuple),
)
