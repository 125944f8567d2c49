"""`kwhost run -P`: a free port of this host for each port that the image exposes."""

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from kwhost.core.errors import UsageError
from kwhost.core.model.instance import InstanceSpec
from kwhost.core.model.network import PublishedPort, Transport

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["ask_exposed", "publish_exposed"]

_MOST = 100  # an image's own word is no reason to take more of the host's ports
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def ask_exposed(client: "Client", spec: InstanceSpec, tenant: str) -> list[str]:
    """The ports that what a tenant's instance is made of exposes, as in `8080/tcp`: this machine and
    directories none. Raises KwhostError."""
    if spec.rootfs is not None or spec.image == "host":
        return []
    found = client.request("GET", f"/v1/images/{quote(spec.image, safe='')}", {"tenant": tenant})
    ports: list[str] = found["settings"]["ports"]
    return ports


def publish_exposed(
    exposed: Sequence[str], published: Sequence[PublishedPort], free: Callable[[str], int] | None = None
) -> tuple[PublishedPort, ...]:
    """What is published already, and 127.0.0.1 with a free port for all else that is exposed. Raises
    UsageError."""
    taken = {(port.target, port.transport) for port in published}
    wanted: dict[tuple[int, Transport], None] = {}
    for pair in (pair for text in exposed for pair in _targets(text) if pair not in taken):
        wanted[pair] = None
        if len(wanted) > _MOST:
            raise UsageError(f"the image exposes more than {_MOST} ports: name those to publish with -p")
    find = free or _free
    more = (PublishedPort(port=find(kind.value), target=target, transport=kind) for target, kind in wanted)
    return (*published, *more)


def _targets(text: str) -> Iterator[tuple[int, Transport]]:
    """Of PORT[-PORT][/tcp|/udp]; of other kinds none can be published."""
    numbers, _, kind = text.partition("/")
    first, _, last = numbers.partition("-")
    if kind in ("", *_KINDS):
        for port in range(int(first), int(last or first) + 1):
            yield port, Transport(kind or "tcp")


def _free(kind: str) -> int:
    """It may be taken again before it is published, which is then an error."""
    with socket.socket(socket.AF_INET, _KINDS[kind]) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
