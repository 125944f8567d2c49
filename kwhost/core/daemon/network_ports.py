"""Published ports on loopback addresses: what the forwarder is told about them."""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import trio

from kwhost.core.daemon.network_members import Group, Member, is_loopback
from kwhost.core.errors import NetworkError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Address, PublishedPort
from kwhost.net.forwarder import Destination, ForwardedPort, Forwarder, ForwardTarget
from kwhost.net.wishes import namespace_of_descriptor

__all__ = ["LoopbackPorts"]

_LOOPBACKS: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


def _forwarded(port: PublishedPort) -> list[ForwardedPort]:
    """Where the forwarder listens for a published port."""
    if is_loopback(port):
        return [ForwardedPort(port.transport, ip_address(port.address), port.port)]
    return [ForwardedPort(port.transport, one, port.port) for one in _LOOPBACKS] if not port.address else []


class LoopbackPorts:
    """The forwarder of a run directory, which is started with the first port that needs it."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._forwarder: Forwarder | None = None
        self._known: dict[ForwardedPort, tuple[Destination, ...]] = {}
        self._targets: set[InstanceId] = set()
        self._turn = trio.Lock()
        self._looked = False

    async def publish(self, groups: Iterable[Group], members: Iterable[Member]) -> None:
        """Have all ports of `groups` served by those of `members` that serve. Raises Conflict where one is
        taken, NetworkError."""
        wanted = {
            port: tuple(Destination(instance, group.port.target) for instance in group.serving)
            for group in groups
            for port in _forwarded(group.port)
        }
        having = {
            member.record.id: member
            for member in members
            if member.pid is not None and any(_forwarded(port) for port in member.record.definition.ports)
        }
        async with self._turn:
            if self._forwarder is None or self._forwarder.lost:
                if wanted or self._known or await self._is_left():
                    await self._connect(wanted, having)
            else:
                await self._change(self._forwarder, wanted, having)

    async def _is_left(self) -> bool:
        """Whether an earlier daemon's serves what nobody wants any more."""
        if not self._looked:
            self._looked = True
            if found := await Forwarder.find(self._run_dir):
                found.close()
                return True
        return False

    async def _connect(
        self, wanted: dict[ForwardedPort, tuple[Destination, ...]], having: dict[InstanceId, Member]
    ) -> None:
        self._forwarder = forwarder = await Forwarder.open(self._run_dir)
        with ExitStack() as held:
            targets = [_target(member, held) for member in having.values()]
            failures = await forwarder.synchronise(wanted, targets)
        self._known = {port: ends for port, ends in wanted.items() if port not in failures}
        self._targets = {instance for instance in having if instance not in failures}
        for error in failures.values():
            raise error

    async def _change(
        self,
        forwarder: Forwarder,
        wanted: dict[ForwardedPort, tuple[Destination, ...]],
        having: dict[InstanceId, Member],
    ) -> None:
        for port in wanted.keys() - self._known.keys():
            await forwarder.listen(port)
            self._known[port] = ()
        for instance in having.keys() - self._targets:
            with ExitStack() as held:
                await forwarder.attach(_target(having[instance], held))
            self._targets.add(instance)
        for port, ends in wanted.items():
            if self._known[port] != ends:
                await forwarder.lead(port, ends)
                self._known[port] = ends
        for port in self._known.keys() - wanted.keys():
            await forwarder.unpublish(port)
            del self._known[port]
        for instance in self._targets - having.keys():
            await forwarder.detach(instance)
            self._targets.discard(instance)

    async def stop(self) -> None:
        """End the forwarder, if there is one: nobody needs it any more."""
        found = self._forwarder or await Forwarder.find(self._run_dir)
        if found and not found.lost:
            await found.stop()
        self._forwarder = None


def _target(member: Member, held: ExitStack) -> ForwardTarget:
    """`held` closes what has to be open until the forwarder has it."""
    assert member.pid
    try:
        process = os.pidfd_open(member.pid)
        held.callback(os.close, process)
        uid, gid = (_first_id(member.pid, kind) for kind in ("uid", "gid"))
    except OSError as error:
        raise NetworkError(f"instance {member.record.name} has just ended") from error
    return ForwardTarget(
        instance=member.record.id,
        namespace=namespace_of_descriptor(member.namespace),
        uid=uid,
        gid=gid,
        address4=IPv4Address(member.addresses.address4),
        address6=IPv6Address(member.addresses.address6),
        process=process,
    )


def _first_id(pid: int, kind: str) -> int:
    """The host's id that is the instance's first one."""
    with open(f"/proc/{pid}/{kind}_map") as file:
        return int(file.readline().split()[1])
