"""What tables of a configuration say of each other about networks."""

from pathlib import Path

import pytest

from kwhost.core.config.load import load_configuration
from tests.unit.config_files import INSTANCE, mistakes

OTHER = "[tenants.u.instances.db]\ncommand = ['true']\n"
TENANT = "[tenants.t]\nnetwork = {}\n"


def networks(tmp_path: Path, text: str) -> list[str | None]:
    (tmp_path / "kwhost.toml").write_text(text)
    return [each.network for each in load_configuration(tmp_path / "kwhost.toml", {}, 0).definitions]


@pytest.mark.parametrize(
    ("text", "network"),
    [
        (INSTANCE, "none"),
        (TENANT + INSTANCE, "tenant"),
        ("[host]\nsubnet_pool = ['10.0.0.0/8']\n" + INSTANCE, "tenant"),
        (TENANT + INSTANCE + "network = 'none'", "none"),
        (INSTANCE + "network = 'tenant'", "tenant"),
        ("[host]\nallow_host_network = true\n" + INSTANCE + "network = 'host'", "host"),
    ],
)
def test_the_default_is_the_tenants_network_where_one_was_configured(
    tmp_path: Path, text: str, network: str
) -> None:
    assert networks(tmp_path, text) == [network]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (INSTANCE + "network = 'host'", "is not allowed"),
        (INSTANCE + "ports = ['1:1']", 'has no meaning with network = "none"'),
        (INSTANCE + "traffic = { upload = '1M' }", 'has no meaning with network = "none"'),
        (TENANT + INSTANCE + "ports = ['1:1', '1:2']", "127.0.0.1:1->2/tcp is taken by t/web"),
        (
            TENANT
            + INSTANCE
            + "ports = ['0.0.0.0:1:1']\n[tenants.u]\nnetwork = {}\n"
            + OTHER
            + "ports = ['1:1']",
            "127.0.0.1:1->1/tcp is taken by t/web",
        ),
        (
            "[tenants.t.network]\nsubnet = '10.1.0.0/16'\n[tenants.u.network]\nsubnet = '10.1.2.0/24'\n",
            "10.1.2.0/24 and 10.1.0.0/16, of the tenant t, share addresses",
        ),
        ("[host]\nsubnet_pool = ['10.0.0.0/8', '172.16.0.0/12']", "one IPv4 and one IPv6 network at most"),
    ],
)
def test_contradictions_are_reported(tmp_path: Path, text: str, complaint: str) -> None:
    assert any(complaint in line for line in mistakes(tmp_path, text))


def test_the_same_port_of_another_transport_or_address_is_another_one(tmp_path: Path) -> None:
    text = TENANT + INSTANCE + "ports = ['1:1', '1:1/udp', '127.0.0.2:1:1', '[::1]:1:1']"

    assert networks(tmp_path, text) == ["tenant"]
