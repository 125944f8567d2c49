"""Published ports on loopback addresses: what the forwarder is told about them."""

import os
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import trio

from kwhost.core.daemon.network_members import Member, groups, is_loopback
from kwhost.core.errors import Conflict, KwhostError, NetworkError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Address, PublishedPort
from kwhost.core.supervise.bell import Bell
from kwhost.net.forwarded import ForwardedPort, Listeners
from kwhost.net.forwarder import Destination, Forwarder, ForwardTarget
from kwhost.net.rounds import Rounds
from kwhost.net.wishes import namespace_of_descriptor

__all__ = ["LoopbackPorts"]

# Between attempts, and between losses that are mended.
_AGAIN_SECONDS = 1.0
# What could not be done, by the instance or port that it is about.
_Failures = dict[InstanceId | ForwardedPort, NetworkError | Conflict]
_LOOPBACKS: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


def _forwarded(port: PublishedPort) -> list[ForwardedPort]:
    """Where the forwarder listens for a published port."""
    if is_loopback(port):
        return [ForwardedPort(port.transport, ip_address(port.address), port.port)]
    return [ForwardedPort(port.transport, one, port.port) for one in _LOOPBACKS] if not port.address else []


def _things(member: Member) -> AbstractSet[InstanceId | ForwardedPort]:
    """What an error about a member may be about."""
    ports = (one for port in member.record.definition.ports for one in _forwarded(port))
    return {member.record.id, *ports}


class LoopbackPorts:
    """The forwarder of a run directory, which is started with the first port that needs it; `members` gives
    who is attached now."""

    def __init__(self, run_dir: Path, members: Callable[[], Iterable[Member]]) -> None:
        self._run_dir = run_dir
        self._members = members
        self._listeners = Listeners()
        self._forwarder: Forwarder | None = None
        self._opened = Bell()
        self._known: dict[ForwardedPort, tuple[Destination, ...]] = {}
        # With the very member: a later run of the same instance is another one.
        self._targets: dict[InstanceId, Member] = {}
        self._failures: _Failures = {}
        self._rounds = Rounds()
        self._turn = trio.Lock()
        self._looked = False

    async def publish(self, member: Member | None = None) -> None:
        """Have all ports of the members served by those that serve. Raises Conflict where one is taken,
        NetworkError; all else is done then. With a `member`, errors about others' ports are theirs."""
        await self._rounds.ask(self._publish)
        concerned = self._failures.keys() if member is None else _things(member)
        for thing in concerned & self._failures.keys():
            raise self._failures[thing]

    async def _publish(self) -> None:
        async with self._turn:
            # Only now: who was there before somebody else's turn may have gone, and its namespace with it.
            wanted, having = self._wanted()
            self._failures = {}
            forwarder = self._forwarder
            if forwarder and not forwarder.lost:
                try:
                    await self._change(forwarder, wanted, having)
                except NetworkError:
                    if not forwarder.lost:
                        raise
                else:
                    return
            if wanted or self._known or await self._is_left():
                await self._connect(wanted, having)

    async def keep(self, tell: Callable[[str], Awaitable[None]]) -> None:
        """Never returns: has all served again, at once, when the forwarder or a relay has ended by itself."""
        while True:
            opened, forwarder = self._opened, self._forwarder
            if forwarder is None:
                await opened.wait()
                continue
            await forwarder.wait_loss()
            if forwarder is self._forwarder and (lost := await self._take_stock(forwarder)):
                await tell(f"{lost}; they are served again")
                await self._mend(tell)
            await trio.sleep(_AGAIN_SECONDS)  # what ended once may do so again

    async def _take_stock(self, forwarder: Forwarder) -> str:
        """Know what is served no more; what that is, or ""."""
        async with self._turn:
            try:
                found = await forwarder.targets()
            except NetworkError:
                if not self._known:  # nobody misses it
                    self._forwarder = None
                    return ""
                return "the forwarder of published ports has ended, and all connections through it"
            dead = [
                found[one].instance for one in self._targets.keys() & found.keys() if not found[one].alive
            ]
            names = sorted(str(self._targets.pop(one).record.name) for one in dead)
        return f"connections through the published ports of {', '.join(names)} have ended" if names else ""

    async def _mend(self, tell: Callable[[str], Awaitable[None]]) -> None:
        told = ""
        while True:
            try:
                await self.publish()
            except KwhostError as error:
                if str(error) != told:
                    told = str(error)
                    await tell(f"published ports are not served: {error}")
                await trio.sleep(_AGAIN_SECONDS)
            else:
                return

    def _wanted(self) -> tuple[dict[ForwardedPort, tuple[Destination, ...]], dict[InstanceId, Member]]:
        """Where each port is to lead, and who has to be there for that."""
        members = tuple(self._members())
        wanted = {
            port: tuple(Destination(instance, group.port.target) for instance in group.serving)
            for group in groups(members)
            for port in _forwarded(group.port)
        }
        having = {
            member.record.id: member
            for member in members
            if member.pid is not None and any(_forwarded(port) for port in member.record.definition.ports)
        }
        return wanted, having

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
        self._forwarder = forwarder = await Forwarder.open(self._run_dir, self._listeners)
        self._opened.ring()
        with ExitStack() as held:
            targets = [target for member in having.values() if (target := _target(member, held))]
            failures = self._failures = await forwarder.synchronise(wanted, targets)
        self._known = {port: ends for port, ends in wanted.items() if port not in failures}
        self._targets = {
            target.instance: having[target.instance] for target in targets if target.instance not in failures
        }

    async def _change(
        self,
        forwarder: Forwarder,
        wanted: dict[ForwardedPort, tuple[Destination, ...]],
        having: dict[InstanceId, Member],
    ) -> None:
        changes: dict[InstanceId | ForwardedPort, Callable[[], Awaitable[None]]] = {
            **{
                instance: partial(self._attach, forwarder, member)
                for instance, member in having.items()
                if self._targets.get(instance) is not member
            },
            **{
                port: partial(self._lead, forwarder, port, ends)
                for port, ends in wanted.items()
                if self._known.get(port) != ends
            },
            **{
                port: partial(self._unpublish, forwarder, port) for port in self._known.keys() - wanted.keys()
            },
            **{one: partial(self._detach, forwarder, one) for one in self._targets.keys() - having.keys()},
        }
        for thing, change in changes.items():
            try:
                await change()
            except (Conflict, NetworkError) as error:
                if forwarder.lost:
                    raise
                self._failures[thing] = error

    async def _attach(self, forwarder: Forwarder, member: Member) -> None:
        with ExitStack() as held:
            if target := _target(member, held):
                await forwarder.attach(target)
                self._targets[target.instance] = member

    async def _lead(self, forwarder: Forwarder, port: ForwardedPort, ends: tuple[Destination, ...]) -> None:
        await (forwarder.lead if port in self._known else forwarder.listen)(port, ends)
        self._known[port] = ends

    async def _unpublish(self, forwarder: Forwarder, port: ForwardedPort) -> None:
        await forwarder.unpublish(port)
        del self._known[port]

    async def _detach(self, forwarder: Forwarder, instance: InstanceId) -> None:
        await forwarder.detach(instance)
        del self._targets[instance]

    async def stop(self) -> None:
        """End the forwarder, if there is one: nobody needs it any more."""
        async with self._turn:
            forwarder, self._forwarder = self._forwarder, None
            self._listeners.close()
            self._known, self._targets = {}, {}
            if forwarder and not forwarder.lost:
                await forwarder.stop()
            else:
                await Forwarder.end(self._run_dir)


def _target(member: Member, held: ExitStack) -> ForwardTarget | None:
    """None where it has just ended. `held` closes what has to be open until the forwarder has it."""
    assert member.pid
    try:
        process = os.pidfd_open(member.pid)
        held.callback(os.close, process)
        uid, gid = (_first_id(member.pid, kind) for kind in ("uid", "gid"))
    except (OSError, IndexError):
        return None
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
