"""The description of networks: the pool of `[host]`, and what tenants and instances may use of a network."""

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from kwhost.core.config.kinds import Boolean, Choice, ListOf, Number, Quantity, Text
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Key, Settings, Table
from kwhost.core.errors import UsageError
from kwhost.core.model.network import (
    Egress,
    NetworkLimits,
    PortSpan,
    Prefix,
    TenantNetwork,
    Traffic,
    Transport,
    host_pattern,
)
from kwhost.core.model.ports import parse_port

__all__ = ["NETWORK_KEYS", "SUBNET_POOL", "TENANT_NETWORK", "tenant_network", "traffic"]

_RATE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?([kmg])?(?:bit)?", re.IGNORECASE)
_RATE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
# tc counts bytes a second in 32 bits.
_RATE_MAX = 32 * 10**9
_PORT_MAX = 65_535
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


# Of what Python calls private: this network, loopback, link-local, reserved.
_NO_SUBNETS = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "240.0.0.0/4")))


def _parse_rate(text: str) -> int:
    """Bits a second; as in networks everywhere, k, M and G are powers of 1000."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is no rate: write for example 500k, 10M or 1.5G, in bits a second")
    whole, fraction, unit = match[1], match[2] or "", (match[3] or "").lower()
    return int(whole + fraction) * _RATE_UNITS[unit] // int(10 ** len(fraction))


def _show_rate(rate: float) -> str:
    unit = next(unit for unit in ("g", "m", "k", "") if rate >= _RATE_UNITS[unit])
    return f"{rate / _RATE_UNITS[unit]:g}{unit.upper() if unit != 'k' else unit}"


def _parse_prefix(text: str) -> Prefix:
    try:
        return ip_network(text)
    except ValueError:
        raise UsageError(_no_prefix(text)) from None


def _parse_target(text: str) -> str:
    """A network's text, or a host name's."""
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        return host_pattern(text)
    except UsageError:
        raise UsageError(f"{_no_prefix(text)}, and no host name") from None


def _no_prefix(text: str) -> str:
    with suppress(ValueError):
        return f"{text!r} is no network, as {ip_network(text, strict=False)} is"
    return f"{text!r} is no address or network such as 10.0.0.0/8 or 2001:db8::/32"


def _parse_pool(text: str) -> Prefix:
    prefix = _parse_prefix(text)
    private = (
        prefix.subnet_of(IPv6Network("fc00::/7")) if isinstance(prefix, IPv6Network) else prefix.is_private
    )
    if not private:
        raise UsageError(f"{text} is public: subnets are private, or in fc00::/7")
    if any(prefix.overlaps(one) for one in _NO_SUBNETS if prefix.version == one.version):
        raise UsageError(f"{text} means something else to every host: subnets are in 10.0.0.0/8, for example")
    return prefix


def _parse_subnet(text: str) -> IPv4Network:
    prefix = _parse_pool(text)
    if not isinstance(prefix, IPv4Network) or not 16 <= prefix.prefixlen <= 29:
        raise UsageError(f"{text} is no subnet for a tenant: write an IPv4 network from /16 to /29")
    return prefix


@dataclass(frozen=True, slots=True)
class _Ports:
    """A port as a number, or ports as a text."""

    words: str = 'a port such as 443, or ports such as "8000-8999"'

    def read(self, value: object, place: Place) -> PortSpan | None:
        """See Kind."""
        match = None if isinstance(value, bool) else _PORTS.fullmatch(str(value))
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if not 1 <= first <= last <= _PORT_MAX:
            place.report(f"must be {self.words}")
            return None
        return PortSpan(first, last)


_RULE = Table(
    meaning="Calls that are allowed.",
    keys=(
        Key(
            name="to",
            kind=Text("a network or host name", _parse_target),
            required=True,
            meaning='addresses, or a host name such as "example.org" or "*.example.org"; private and special '
            'addresses are no part of a wider network such as "0.0.0.0/0"',
            example='"0.0.0.0/0"',
        ),
        Key(
            name="ports",
            kind=ListOf(words="a list of ports", element=_Ports(), or_one=True),
            meaning="ports of TCP and UDP; without it, all",
            example='[443, "8000-8999"]',
        ),
        Key(
            name="protocol",
            kind=Choice(Transport),
            meaning="without it, all",
            example='"tcp"',
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One table of a list of rules: a rule for each span of ports."""

    words: str = 'a table such as { to = "0.0.0.0/0", ports = [443] }'

    def read(self, value: object, place: Place) -> tuple[Egress, ...] | None:
        """See Kind."""
        settings = _RULE.read(value, place)
        if settings is None or "to" not in settings:
            return None
        transport, spans = settings.get("protocol"), settings.get("ports", (None,))
        if transport is Transport.ICMP and "ports" in settings:
            place.below("ports").report("has no meaning for icmp")
            return None
        return tuple(Egress(to=settings["to"], transport=transport, ports=span) for span in spans)


def _rate_key(name: str, meaning: str) -> Key:
    rate = Quantity(
        words="a rate such as 10M",
        parse=_parse_rate,
        show=_show_rate,
        low=8_000,
        high=_RATE_MAX,
        fractional=False,
    )
    return Key(
        name=name, kind=rate, meaning=f"{meaning}, in bits a second; without it, no limit", example='"10M"'
    )


def _count_key(name: str, meaning: str) -> Key:
    return Key(
        name=name,
        kind=Number(low=1, high=2**31),
        meaning=f"{meaning}; without it, no limit",
        example="1000",
    )


# Of a tenant and of an instance.
_TRAFFIC_KEYS = (
    _rate_key("upload", "what leaves it"),
    _rate_key("download", "what reaches it"),
    _count_key("upload_packets", "packets a second that leave it"),
    _count_key("download_packets", "packets a second that reach it"),
    _count_key("connections", "connections with the outside at a time"),
    Key(
        name="egress",
        kind=ListOf(words="a list of tables", element=_Rule()),
        default="[]",
        meaning="calls that are allowed beyond the tenant's own network",
        example='[{ to = "0.0.0.0/0", ports = [443], protocol = "tcp" }]',
    ),
    Key(
        name="isolated",
        kind=Boolean(),
        default="false",
        meaning="whether no other instance of the tenant is reached, nor reaches it",
        example="true",
    ),
)

TENANT_NETWORK = Table(
    meaning="The tenant's network; limits count what passes between it and the rest.",
    keys=(
        Key(
            name="subnet",
            kind=Text("a network", _parse_subnet),
            meaning="its IPv4 addresses; without it, kwhost takes some from subnet_pool",
            example='"10.88.7.0/24"',
        ),
        Key(
            name="mtu",
            kind=Number(low=1280, high=9000),
            default="1500",
            meaning="the largest packet, in bytes",
            example="1500",
        ),
        *_TRAFFIC_KEYS,
    ),
)

_TRAFFIC = Table(meaning="What the instance may send and receive, besides its tenant's.", keys=_TRAFFIC_KEYS)

# Of an instance.
NETWORK_KEYS = (
    Key(
        name="network",
        kind=Text("the name of a network"),
        meaning="what the instance is attached to; none: nothing but its own loopback; tenant: the tenant's "
        "network; host: this host's own, where allow_host_network is set; or what a plugin offers; without "
        "it, tenant where the tenant has a network table or the host a subnet_pool, otherwise none",
        example='"tenant"',
    ),
    Key(
        name="ports",
        kind=ListOf(words='a list such as ["8080:80"]', element=Text("a text", parse_port)),
        default="[]",
        meaning="ports of this host that lead to the instance: [IP:]HOST:GUEST[/udp], on 127.0.0.1 without "
        "an IP, on all addresses with 0.0.0.0; of replicas, to each healthy one in turn",
        example='["8080:80", "192.0.2.1:53:53/udp"]',
    ),
    Key(
        name="traffic",
        kind=_TRAFFIC,
        default="{}",
        meaning="what it may send and receive, besides what its tenant's network allows",
        example='{ upload = "10M", download = "10M", isolated = true }',
    ),
)

# `[host] subnet_pool`: one IPv4 and one IPv6 network.
SUBNET_POOL = ListOf(
    words='a list such as ["10.88.0.0/13", "fd6b:7768:6f73::/48"]', element=Text("a network", _parse_pool)
)


def _limits(settings: Settings) -> NetworkLimits:
    names = ("upload", "download", "upload_packets", "download_packets", "connections")
    return NetworkLimits(**{name: settings.get(name) for name in names})


def traffic(settings: Settings) -> Traffic:
    """What an instance's table `traffic` says."""
    return Traffic(
        limits=_limits(settings),
        egress=_egress(settings),
        isolated=settings.get("isolated", False),
    )


def tenant_network(settings: Settings) -> TenantNetwork:
    """What a tenant's table `network` says."""
    subnet = settings.get("subnet")
    return TenantNetwork(
        subnet=str(subnet) if subnet else None,
        mtu=settings.get("mtu", 1500),
        limits=_limits(settings),
        egress=_egress(settings),
        isolated=settings.get("isolated", False),
    )


def _egress(settings: Settings) -> tuple[Egress, ...]:
    return tuple(rule for rules in settings.get("egress", ()) for rule in rules)
