"""The description of networks: its examples are right, and mistakes are reported where they are."""

import tomllib
from pathlib import Path

import pytest

from kwhost.core.config.network_schema import SUBNET_POOL, TENANT_NETWORK, tenant_network
from kwhost.core.config.problems import ConfigErrors, Place, Problems
from kwhost.core.config.tables import Key, Settings
from kwhost.core.model.network import Egress, NetworkLimits, PortSpan, Transport


def read(text: str) -> Settings:
    place = Place(Problems(Path("example"), {}))
    settings = TENANT_NETWORK.read(tomllib.loads(text), place)
    place.problems.raise_any()
    assert settings is not None
    return settings


@pytest.mark.parametrize("key", TENANT_NETWORK.keys, ids=lambda key: key.name)
def test_examples_and_defaults_are_right(key: Key) -> None:
    assert key.name in read(f"{key.name} = {key.example}")
    assert not key.default or key.name in read(f"{key.name} = {key.default}")


def test_rates_are_bits_in_powers_of_a_thousand() -> None:
    settings = read('upload = "1.5M"\ndownload = "10kbit"\nconnections = 7')

    assert tenant_network(settings).limits == NetworkLimits(upload=1_500_000, download=10_000, connections=7)


def test_each_span_of_ports_is_a_rule_of_its_own() -> None:
    settings = read('egress = [{ to = "9.9.9.9", ports = [443, "80-90"], protocol = "tcp" }]')

    spans = (PortSpan(443, 443), PortSpan(80, 90))
    assert tenant_network(settings).egress == tuple(
        Egress(to="9.9.9.9/32", transport=Transport.TCP, ports=span) for span in spans
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('upload = "fast"', "'fast' is no rate"),
        ('upload = "64G"', "must be from 8k to 32G"),
        ('subnet = "8.8.8.0/24"', "8.8.8.0/24 is public"),
        ('subnet = "127.0.5.0/24"', "127.0.5.0/24 means something else to every host"),
        ('subnet = "169.254.0.0/16"', "169.254.0.0/16 means something else to every host"),
        ('subnet = "10.1.2.3/24"', "'10.1.2.3/24' is no network, as 10.1.2.0/24 is"),
        ('egress = [{ to = "9.9.9.9/8" }]', "'9.9.9.9/8' is no network, as 9.0.0.0/8 is"),
        ('subnet = "10.0.0.0/8"', "is no subnet for a tenant"),
        ("mtu = 100", "from 1280 to 9000"),
        ("egress = [{ ports = [1] }]", "has no to"),
        ('egress = [{ to = "everywhere" }]', "'everywhere' is no address or network"),
        ('egress = [{ to = "::/0", ports = [0] }]', "must be a port such as 443"),
        ('egress = [{ to = "::/0", ports = ["9-8"] }]', "must be a port such as 443"),
        ('egress = [{ to = "::/0", ports = [1], protocol = "icmp" }]', "has no meaning for icmp"),
        ("egres = []", "did you mean egress?"),
    ],
)
def test_mistakes_are_reported(text: str, complaint: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)

    assert complaint in str(caught.value)


def test_a_public_pool_is_a_mistake() -> None:
    place = Place(Problems(Path("example"), {}))

    SUBNET_POOL.read(["2001:4860::/32"], place)

    with pytest.raises(ConfigErrors, match="2001:4860::/32 is public"):
        place.problems.raise_any()
