"""Published ports as people write them."""

import pytest

from kwhost.core.errors import UsageError
from kwhost.core.model.network import PublishedPort, Transport
from kwhost.core.model.ports import parse_port


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("8080:80", PublishedPort(port=8080, target=80)),
        ("53:53/udp", PublishedPort(port=53, target=53, transport=Transport.UDP)),
        ("192.0.2.1:1:2/tcp", PublishedPort(address="192.0.2.1", port=1, target=2)),
        ("[::1]:1:2", PublishedPort(address="::1", port=1, target=2)),
        ("[2001:DB8::0]:1:2", PublishedPort(address="2001:db8::", port=1, target=2)),
        ("0.0.0.0:1:2", PublishedPort(address="", port=1, target=2)),
        ("[::]:1:2", PublishedPort(address="", port=1, target=2)),
        ("*:1:2", PublishedPort(address="", port=1, target=2)),
    ],
)
def test_ports_are_read(text: str, published: PublishedPort) -> None:
    assert parse_port(text) == published


@pytest.mark.parametrize(
    "text",
    ["", "80", "0:80", "80:0", "65536:1", "1.2.3:1:2", "::1:1:2", "1:2/icmp", "a:b", "1:2:3:4", "-1:2"],
)
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_port(text)


def test_ports_are_shown_with_where_they_lead() -> None:
    shown = [str(parse_port(text)) for text in ("8080:80", "[::1]:1:2/udp", "*:1:2")]

    assert shown == ["127.0.0.1:8080->80/tcp", "[::1]:1->2/udp", "*:1->2/tcp"]
