"""A host and instances, each in a network namespace, and a forwarder between them."""

import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import trio

from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import Destination, ForwardedPort, Forwarder, ForwardTarget
from kwhost.net.wishes import Namespace
from tests.net.namespaces import join, new_namespace, set_address
from tests.net.probes import make_socket
from tests.patience import SECONDS

__all__ = [
    "INNER",
    "Place",
    "ask",
    "connect",
    "echo",
    "forwarders",
    "free_port",
    "made_place",
    "open_forwarder",
    "publish",
    "receive_all",
    "relays",
    "serving",
]

INNER = 7000
_FIRST_UID = 0x7100_0000
# Below those that the kernel gives to who wants any, and none is given out twice.
_NUMBERS = cycle(range(20_000, 32_000))
for _ in range(os.getpid() * 997 % 12_000):
    next(_NUMBERS)


class Place(NamedTuple):
    """An instance's namespace with an interface of its own, and the namespace at its other end."""

    target: ForwardTarget
    address4: str
    address6: str

    @property
    def namespace(self) -> Namespace:
        return self.target.namespace

    def at(self, port: int = INNER) -> Destination:
        return Destination(self.target.instance, port)


@contextmanager
def made_place(number: int = 1) -> Iterator[Place]:
    with new_namespace() as namespace, new_namespace() as outside:
        join(namespace, "eth0", outside, "peer")
        address4, address6 = f"10.9.{number}.2", f"fd09:{number}::2"
        set_address(namespace, "eth0", f"{address4}/24", f"{address6}/64")
        set_address(outside, "peer", f"10.9.{number}.1/24", f"fd09:{number}::1/64")
        target = ForwardTarget(
            instance=InstanceId(f"{number:012x}"),
            namespace=namespace,
            uid=_FIRST_UID + number,
            gid=_FIRST_UID + number,
            address4=IPv4Address(address4),
            address6=IPv6Address(address6),
        )
        yield Place(target, address4, address6)


@asynccontextmanager
async def open_forwarder(run_dir: Path) -> AsyncIterator[Forwarder]:
    """One that is stopped afterwards, whatever became of it."""
    forwarder = await Forwarder.open(run_dir)
    try:
        yield forwarder
    finally:
        with trio.CancelScope(shield=True):
            forwarder.close()
            await Forwarder.end(run_dir)


async def publish(forwarder: Forwarder, port: ForwardedPort, *places: Place) -> None:
    """Have a port lead to places, in turn."""
    for place in places:
        await forwarder.attach(place.target)
    await forwarder.listen(port)
    await forwarder.lead(port, [place.at() for place in places])


def free_port(transport: Transport = Transport.TCP, address: str = "127.0.0.1") -> ForwardedPort:
    """A port of this machine's loopback address that nobody has, and that nobody gets by chance."""
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    for number in _NUMBERS:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, number))
            except OSError:
                continue
        return ForwardedPort(transport, ip_address(address), number)
    raise AssertionError


def relays(run_dir: Path) -> list[int]:
    """Processes of relays whose parent has this run directory open, and of none other."""
    parents = set(forwarders(run_dir))
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) in parents and fields[0] != "Z":
                found.append(int(entry))
    return found


def forwarders(run_dir: Path) -> list[int]:
    """Processes of the forwarder that have this run directory open."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if Path("/proc", entry, "comm").read_text() != "kwhost-forward\n":
                    continue
                links = [_target(link) for link in Path("/proc", entry, "fd").iterdir()]
            except OSError:
                continue
            if str(run_dir) in links:
                found.append(int(entry))
    return found


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""  # the descriptor was closed meanwhile


def connect(port: ForwardedPort) -> socket.socket:
    return socket.create_connection((str(port.address), port.number), timeout=SECONDS)


def receive_all(peer: socket.socket) -> bytes:
    return b"".join(iter(lambda: peer.recv(65536), b""))


def ask(port: ForwardedPort, request: bytes = b"") -> bytes:
    """What is answered to all that is said."""
    with connect(port) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client)


def echo(peer: socket.socket) -> None:
    while data := peer.recv(65536):
        peer.sendall(data)


@contextmanager
def serving(
    namespace: Namespace,
    serve: Callable[[socket.socket], None],
    address: str = "",
    *,
    port: int = INNER,
    family: int = socket.AF_INET,
) -> Iterator[None]:
    """Serve each connection that comes to a namespace in a thread of its own."""
    listener = make_socket(namespace, family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.settimeout(None)
    listener.bind((address, port))
    listener.listen(1024)

    def run(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            serve(peer)

    def accept() -> None:
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            peer.settimeout(SECONDS)
            threading.Thread(target=run, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
