"""Ports of a loopback address that are led into namespaces by kwhost's forwarder.

`python -m benchmarks.forwarding DIRECTORY TARGET...` starts the forwarder in the network namespace that it is
called in, and ends. A process of its own: trio's threads do not go along with one that enters a namespace.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import trio

from benchmarks.commands import output_of
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import Destination, ForwardedPort, Forwarder, ForwardTarget
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Namespace

__all__ = ["LOOPBACK", "Forwarding", "forwarded"]

LOOPBACK = "127.0.0.1"
_UID = 0x7100_0000


class Forwarding(NamedTuple):
    """The port `port` of the loopback address leads to `inner` of an address in a namespace."""

    port: int
    inner: int
    address: str
    namespace: Namespace

    def __str__(self) -> str:
        return ",".join(map(str, self))


@contextmanager
def forwarded(host: Namespace, targets: Iterable[Forwarding]) -> Iterator[None]:
    """All of them, in the namespace `host`."""
    with tempfile.TemporaryDirectory(prefix="kwhost-forward-") as directory:
        command = [sys.executable, "-m", __name__, directory, *map(str, targets)]
        run_inside(host, partial(output_of, command))
        try:
            yield
        finally:
            trio.run(Forwarder.end, Path(directory))


async def _publish(run_dir: Path, targets: Iterable[Forwarding]) -> None:
    ports, ends = {}, []
    for number, target in enumerate(targets):
        uid, instance = _UID + number, InstanceId(f"{number:012x}")
        port = ForwardedPort(Transport.TCP, IPv4Address(LOOPBACK), target.port)
        ports[port] = [Destination(instance, target.inner)]
        address4 = IPv4Address(target.address)
        ends.append(
            ForwardTarget(instance=instance, namespace=target.namespace, uid=uid, gid=uid, address4=address4)
        )
    forwarder = await Forwarder.open(run_dir)
    failures = await forwarder.synchronise(ports, ends)
    forwarder.close()
    for error in failures.values():
        raise error


def _parse(text: str) -> Forwarding:
    port, inner, address, namespace = text.split(",")
    return Forwarding(int(port), int(inner), address, Namespace(namespace))


if __name__ == "__main__":
    trio.run(_publish, Path(sys.argv[1]), [_parse(text) for text in sys.argv[2:]])
