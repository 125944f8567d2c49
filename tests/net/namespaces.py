"""Network namespaces of tests: nothing here touches the machine's own."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Namespace, namespace_of_descriptor

__all__ = ["filter_bridged", "join", "new_namespace", "set_address", "write_setting"]

_CLONE_NEWNET = 0x4000_0000


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
    def write() -> None:
        with open(f"/proc/sys/net/{path}", "w") as file:
            file.write(value)

    run_inside(namespace, write)


def filter_bridged(namespace: Namespace, *, on: bool) -> None:
    """Whether bridged packets pass the rules for routed ones; never where the kernel has no br_netfilter."""
    for version in ("ip", "ip6"):
        with suppress(FileNotFoundError):
            write_setting(namespace, f"bridge/bridge-nf-call-{version}tables", "1" if on else "0")


def join(namespace: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """Connect two namespaces by a pair of interfaces."""

    def add() -> None:
        with open_session() as session:
            session.link(
                "add", ifname=name, kind="veth", peer={"ifname": other_name, "net_ns_fd": str(other)}
            )

    run_inside(namespace, add)


def set_address(namespace: Namespace, name: str, *addresses: str, gateway: str | None = None) -> None:
    """Give an interface addresses and bring it up; `gateway` is for all else."""

    def change() -> None:
        with open_session() as session:
            session.link("set", index=1, state="up")
            index = session.link_lookup(ifname=name)[0]
            session.link("set", index=index, state="up")
            for address in addresses:
                host, length = address.split("/")
                flags = {"flags": 2} if ":" in host else {}  # IFA_F_NODAD
                session.addr("add", index=index, address=host, prefixlen=int(length), **flags)
            if gateway:
                everything = "::/0" if ":" in gateway else "0.0.0.0/0"
                session.route("add", dst=everything, gateway=gateway)

    run_inside(namespace, change)
