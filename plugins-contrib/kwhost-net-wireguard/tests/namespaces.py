"""Network namespaces of tests, what is in them, and real packets between them."""

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Namespace, namespace_of_descriptor

__all__ = ["answers", "connects", "join", "new_namespace", "with_session", "write_setting"]

_CLONE_NEWNET = 0x4000_0000
# The first packet waits for a handshake, which may need a second try; what is refused is answered at once.
_SECONDS = 20.0
_PORT = 7000


@contextmanager
def new_namespace() -> Iterator[Namespace]:
    """One that goes, with all that is in it, when nothing uses it any more."""
    descriptors: list[int] = []

    def unshare() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        descriptors.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = Thread(target=unshare)
    thread.start()
    thread.join()
    try:
        yield namespace_of_descriptor(descriptors[0])
    finally:
        os.close(descriptors[0])


def write_setting(namespace: Namespace, path: str, value: str) -> None:
    run_inside(namespace, lambda: Path(f"/proc/sys/net/{path}").write_text(value))


def with_session(namespace: Namespace, action: Callable[[Any], Any]) -> Any:
    def act() -> Any:
        with open_session() as session:
            return action(session)

    return run_inside(namespace, act)


def join(one: Namespace, address: str, other: Namespace, other_address: str) -> None:
    """Connect two namespaces by a pair of interfaces, both called wire."""
    with_session(
        one,
        lambda s: s.link("add", ifname="wire", kind="veth", peer={"ifname": "wire", "net_ns_fd": str(other)}),
    )

    def give(session: Any, own: str) -> None:
        index = session.link_lookup(ifname="wire")[0]
        session.addr("add", index=index, address=own, prefixlen=24)
        session.link("set", index=index, state="up")

    for place, own in ((one, address), (other, other_address)):
        with_session(place, lambda s, own=own: give(s, own))


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connects(source: Namespace, target: Namespace, address: str) -> bool:
    """Whether a TCP connection from `source` to something in `target` is made, and carries much."""
    family = _family(address)
    with (
        run_inside(target, lambda: socket.socket(family)) as server,
        run_inside(source, lambda: socket.socket(family)) as client,
    ):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", _PORT))
        server.listen()
        client.settimeout(_SECONDS)
        try:
            client.connect((address, _PORT))
        except OSError:
            return False
        connection, _ = server.accept()
        with connection:
            connection.settimeout(_SECONDS)
            client.sendall(bytes(20_000))
            received = 0
            while received < 20_000:
                received += len(connection.recv(65_536))
        return True


def answers(source: Namespace, address: str, seconds: float = _SECONDS) -> bool:
    """Whether something at `address` answers a ping."""
    six = ":" in address
    write_setting(source, "ipv4/ping_group_range", "0 2147483647")
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with run_inside(source, lambda: socket.socket(_family(address), socket.SOCK_DGRAM, protocol)) as pinger:
        pinger.settimeout(seconds)
        level, recverr = (socket.IPPROTO_IPV6, 25) if six else (socket.IPPROTO_IP, 11)
        pinger.setsockopt(level, recverr, 1)  # that it was refused is an error
        try:
            pinger.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1), (address, 0))
            return pinger.recv(2048)[0] == (129 if six else 0)
        except OSError:
            return False
