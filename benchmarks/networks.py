"""Network namespaces for measurements, and a tenant's network in them: apart from this machine's own."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from benchmarks.commands import Command
from benchmarks.figures import MeasurementError, NotMeasurable
from kwhost.core.errors import NetworkError
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.net.addresses import Pool, assign_addresses
from kwhost.net.host import HostNetwork
from kwhost.net.names import Owner, owner_of
from kwhost.net.namespaces import new_namespace, run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Attachment, Namespace, Network, VethEnd, Wishes

__all__ = [
    "Attachments",
    "add_bridge",
    "address",
    "filter_bridged",
    "forwarding",
    "join",
    "namespaces",
    "need_networks",
    "own_namespace",
    "running",
]

_TENANT = TenantName("bench")
_NO_DAD = 2  # IFA_F_NODAD
_LOOPBACK = 1


@contextmanager
def own_namespace() -> Iterator[Namespace]:
    """An empty one, whose path any process of ours may use; it goes with the last that does."""
    descriptor = new_namespace()
    try:
        yield Namespace(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextmanager
def namespaces(count: int) -> Iterator[tuple[Namespace, ...]]:
    """So many."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(own_namespace()) for _ in range(count))


def need_networks() -> None:
    """NotMeasurable where this user or this host cannot have networks of tenants; it says why."""
    if os.geteuid():
        raise NotMeasurable("network namespaces need root")
    with namespaces(2) as (host, inside):
        attachments = Attachments("need", host)
        try:
            failures = attachments.host.reconcile(attachments.wishes([attachments.of(0, inside)]))
        except NetworkError as error:
            raise NotMeasurable(str(error)) from error
        for failure in failures.values():
            raise NotMeasurable(str(failure))


class Attachments:
    """Up to `count` instances of a tenant, in a network of the host namespace `host`.

    `number` is that of the tenant's subnet: those of two that share a host must differ.
    """

    def __init__(self, name: str, host: Namespace, count: int = 1, number: int = 0) -> None:
        self._owner: Owner = owner_of(f"/bench/{name}")
        self.host = HostNetwork(self._owner, host)
        self._subnet = Pool().subnet(number)
        self._names = [InstanceName(f"instance-{one}") for one in range(count)]
        self._addresses = assign_addresses(self._subnet, self._names)

    @property
    def network(self) -> Network:
        """The tenant's."""
        return Network(tenant=_TENANT, subnet=self._subnet)

    def of(self, number: int, namespace: Namespace) -> Attachment:
        """An instance whose network namespace this is."""
        name = self._names[number]
        address4, address6 = self._addresses[name]
        return Attachment(
            instance=InstanceId(f"{number:012x}"),
            tenant=_TENANT,
            name=name,
            end=VethEnd(namespace=namespace),
            address4=address4,
            address6=address6,
        )

    def wishes(self, attachments: Iterable[Attachment]) -> Wishes:
        """The network with these instances."""
        return Wishes(owner=self._owner, networks=(self.network,), attachments=tuple(attachments))

    def apply(self, wishes: Wishes) -> None:
        """Have it. A MeasurementError where a link fails."""
        for failure in self.host.reconcile(wishes).values():
            raise MeasurementError(str(failure))


def join(near: Namespace, name: str, far: Namespace, far_name: str = "eth0") -> None:
    """Connect two namespaces by a pair of interfaces."""

    def add() -> None:
        with open_session() as session:
            session.link("add", ifname=name, kind="veth", peer={"ifname": far_name, "net_ns_fd": str(far)})

    run_inside(near, add)


def add_bridge(namespace: Namespace, name: str, ports: Iterable[str]) -> None:
    """A bridge as the kernel makes it, without a rule."""

    def add() -> None:
        with open_session() as session:
            session.link("add", ifname=name, kind="bridge")
            bridge = session.link_lookup(ifname=name)[0]
            for port in ports:
                session.link("set", index=session.link_lookup(ifname=port)[0], master=bridge, state="up")
            session.link("set", index=bridge, state="up")

    run_inside(namespace, add)


def address(namespace: Namespace, name: str, *addresses: str, gateway: str | None = None) -> None:
    """Give an interface addresses such as 10.0.0.1/24, and bring it up."""

    def change() -> None:
        with open_session() as session:
            session.link("set", index=_LOOPBACK, state="up")
            index = session.link_lookup(ifname=name)[0]
            session.link("set", index=index, state="up")
            for one in addresses:
                host, length = one.split("/")
                flags = {"flags": _NO_DAD} if ":" in host else {}
                session.addr("add", index=index, address=host, prefixlen=int(length), **flags)
            if gateway:
                session.route("add", dst="0.0.0.0/0", gateway=gateway)

    run_inside(namespace, change)


def forwarding(namespace: Namespace) -> None:
    """Let a namespace forward, as the host of a network with uplinks must."""

    def write() -> None:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")

    run_inside(namespace, write)


def filter_bridged(namespace: Namespace, *, on: bool) -> bool:
    """Whether bridged packets pass the rules for routed ones too; False where this kernel cannot do that."""
    directory = Path("/proc/sys/net/bridge")

    def write() -> bool:
        for name in ("iptables", "ip6tables", "arptables"):
            with suppress(FileNotFoundError):
                (directory / f"bridge-nf-call-{name}").write_text("1" if on else "0")
        return directory.exists()

    return run_inside(namespace, write)


@contextmanager
def running(namespace: Namespace, command: Command) -> Iterator["subprocess.Popen[str]"]:
    """A process in a namespace, killed with the block."""
    start = partial(
        subprocess.Popen,
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with run_inside(namespace, start) as process:
        try:
            yield process
        finally:
            process.kill()
