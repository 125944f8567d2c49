"""Ports that a forwarder serves: those published on loopback addresses, which no rule of nftables can lead
into an instance without `route_localnet`.

The forwarder is a process of its own (kwhost/net/forward) that lives on when the daemon is killed. Who calls
a port is connected to one of the port's targets, in turn, inside that target's network namespace: at the
instance's own address, and where nobody listens there at the namespace's loopback address, each in the
version of IP that the call came by and then in the other. A target that takes no connection is passed over;
where none does, or a port has no target, the call is reset. Datagrams of one client stay with one target.
"""

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NamedTuple

import trio

from kwhost.core.abi import forward as wire
from kwhost.core.abi.rights import pack_rights, rights_room, unpack_rights
from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.ids import InstanceId
from kwhost.net.forwarded import ForwardedPort, Listeners
from kwhost.net.forwarder_process import find_forwarder, remove_remains, start_forwarder
from kwhost.net.wishes import Namespace

__all__ = ["Counts", "Destination", "ForwardTarget", "ForwardedPort", "Forwarder", "TargetState"]

# The forwarder answers in microseconds, or once a relay has started.
_ANSWER_SECONDS = 10
_START_SECONDS = 10
_RETRY_SECONDS = 0.01
# Of what comes along with an answer: one descriptor.
_ROOM = rights_room(1)

Counts = wire.CountsRecord


class Destination(NamedTuple):
    """A port of an instance; the instance need not be attached yet."""

    instance: InstanceId
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardTarget:
    """An instance that ports may lead to.

    Its relay, a process in `namespace`, has the ids `uid` and `gid`, which are the instance's first ones on
    the host (never 0) and no other instance's: limits that the kernel keeps by user are then its own.
    `process` is a pidfd whose end ends the relay; without one the relay keeps the namespace until `detach`.
    """

    instance: InstanceId
    namespace: Namespace
    uid: int
    gid: int
    address4: IPv4Address | None = None
    address6: IPv6Address | None = None
    process: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """An attached instance; `alive` is False once its relay has ended. `namespace`: device and inode."""

    instance: InstanceId
    namespace: tuple[int, int]
    alive: bool
    counts: Counts


class Forwarder:
    """A connection to a run directory's forwarder; its methods may be called by several tasks.

    Every method raises NetworkError when the forwarder is gone, does not answer or cannot do it; `lost` is
    True when another connection is needed: `open` and `synchronise` then make everything as it was, but for
    the connections that ended with a forwarder that was killed. With the `listeners` of before, its ports
    are never free in between.
    """

    def __init__(self, run_dir: Path, control: socket.socket, listeners: Listeners | None = None) -> None:
        """Use `open` or `find`."""
        self._run_dir = run_dir
        self._own_listeners = Listeners()
        self._listeners = self._own_listeners if listeners is None else listeners
        self._control = trio.socket.from_stdlib_socket(control)
        self._turn = trio.Lock()
        self._known: set[ForwardedPort] = set()
        self.lost = False

    @classmethod
    async def find(cls, run_dir: Path, listeners: Listeners | None = None) -> "Forwarder | None":
        """The forwarder that runs; None where none does. One of another version, with no connection open, is
        ended; with one open it is a NetworkError."""
        control = find_forwarder(run_dir)
        if control is None:
            return None
        forwarder = cls(run_dir, control, listeners)
        try:
            if not await forwarder._greet():
                return None
            forwarder._known = set(await forwarder.ports())
        except BaseException:
            forwarder.close()
            raise
        return forwarder

    @classmethod
    async def open(cls, run_dir: Path, listeners: Listeners | None = None) -> "Forwarder":
        """The forwarder that runs, or one that is started. Raises NetworkError and HostError."""
        with trio.move_on_after(_START_SECONDS):
            while True:
                if forwarder := await cls.find(run_dir, listeners):
                    return forwarder
                if not await trio.to_thread.run_sync(start_forwarder, run_dir):
                    await trio.sleep(_RETRY_SECONDS)  # it is starting, or ending
        raise NetworkError(f"the forwarder in {run_dir} neither starts nor ends")

    @classmethod
    async def end(cls, run_dir: Path) -> None:
        """Stop the forwarder that runs, of whatever version, if one does; what a killed one left goes too."""
        control = find_forwarder(run_dir)
        if control is None:
            await trio.to_thread.run_sync(remove_remains, run_dir)
        else:
            await cls(run_dir, control).stop()

    async def synchronise(
        self, ports: Mapping[ForwardedPort, Sequence[Destination]], targets: Iterable[ForwardTarget]
    ) -> dict[InstanceId | ForwardedPort, NetworkError | Conflict]:
        """Make the forwarder serve these and nothing else; what stays keeps its connections.

        Returns what could not be done, by instance or port; all else is done.
        """
        failures: dict[InstanceId | ForwardedPort, NetworkError | Conflict] = {}
        wanted = {target.instance: target for target in targets}
        for port in self._known - ports.keys():
            await self.unpublish(port)
        for instance in (await self.targets()).keys() - wanted.keys():
            await self.detach(instance)
        for target in wanted.values():
            try:
                await self.attach(target)
            except NetworkError as error:
                self._raise_if_lost(error)
                failures[target.instance] = error
        for port, destinations in ports.items():
            try:
                if port in self._known:
                    await self.lead(port, destinations)
                else:
                    await self.listen(port, destinations)
            except (Conflict, NetworkError) as error:
                self._raise_if_lost(error)
                failures[port] = error
        return failures

    async def listen(self, port: ForwardedPort, destinations: Sequence[Destination] = ()) -> None:
        """Take a port, and lead it to these from its first call on; one that it has already stays as it is.

        Raises Conflict where another program has it.
        """
        if port in self._known:
            return
        _refuse_too_many(port, destinations)
        listener = await self._listeners.get(port)
        await self._ask(f"serve {port}", wire.add_port(*port, destinations), listener.fileno())
        self._known.add(port)

    async def lead(self, port: ForwardedPort, destinations: Sequence[Destination]) -> None:
        """Lead new connections of a port that it listens at to these; those that are open stay."""
        _refuse_too_many(port, destinations)
        await self._ask(f"lead {port} to its instances", wire.set_ends(*port, destinations))

    async def unpublish(self, port: ForwardedPort) -> None:
        """Listen at a port no more, also where it does not; TCP connections made through it stay."""
        await self._ask(f"give up {port}", wire.remove_port(*port))
        self._known.discard(port)
        self._listeners.drop(port)

    async def attach(self, target: ForwardTarget) -> None:
        """Make an instance one that ports can lead to, also where it is.

        Its connections end if it had another namespace, or other ids or addresses.
        """
        with ExitStack() as stack:
            try:
                namespace = os.open(target.namespace, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise NetworkError(f"{target.instance} has no network namespace: {error.strerror}") from error
            stack.callback(os.close, namespace)
            descriptors = [namespace, *([] if target.process is None else [target.process])]
            message = wire.put_target(
                target.instance, target.uid, target.gid, target.address4, target.address6
            )
            await self._ask(f"relay to {target.instance}", message, *descriptors)

    async def detach(self, instance: InstanceId) -> None:
        """End an instance's relay and its connections, also where there is none."""
        await self._ask(f"end the relay to {instance}", wire.remove_target(instance))

    async def ports(self) -> dict[ForwardedPort, tuple[Destination, ...]]:
        """The ports that it listens at, and where they lead."""
        found, index = {}, 0
        while (listed := await self._ask_for_record(wire.ask_port(index))) is not None:
            answer, descriptors = listed
            port = ForwardedPort(*answer.port())
            for descriptor in descriptors:
                self._listeners.keep(port, descriptor)
            found[port] = tuple(Destination(InstanceId(name), number) for name, number in answer.ends())
            index = answer.index
        return found

    async def targets(self) -> dict[InstanceId, TargetState]:
        """The instances that are attached, and what passed through their relays."""
        found, index = {}, 0
        while (listed := await self._ask_for_record(wire.ask_target(index))) is not None:
            answer, _ = listed
            name, namespace, alive = answer.target()
            instance = InstanceId(name)
            found[instance] = TargetState(
                instance=instance, namespace=namespace, alive=alive, counts=answer.counts()
            )
            index = answer.index
        return found

    async def wait_loss(self) -> None:
        """Return as soon as an attached instance's relay has ended by itself, or the forwarder has."""
        control = find_forwarder(self._run_dir)
        if control is None:
            return
        with trio.socket.from_stdlib_socket(control) as watching, suppress(OSError):
            await watching.send(wire.ask_to_watch())
            await watching.recv(wire.ANSWER_SIZE)

    async def stop(self) -> None:
        """End the forwarder and all its connections; it leaves nothing behind."""
        await self._ask("stop", wire.ask_to_stop())
        self._listeners.close()
        self.close()

    def close(self) -> None:
        """Leave the forwarder to itself."""
        self.lost = True
        self._control.close()
        self._own_listeners.close()

    async def _greet(self) -> bool:
        """Whether it is there and of this version. One of another version is ended if nobody needs it."""
        try:
            answer, _ = await self._exchange(wire.ask_hello())
        except NetworkError:
            return False  # it has just ended
        if answer.version == wire.VERSION:
            return True
        if answer.count:
            raise NetworkError(
                f"the forwarder in {self._run_dir} is of another version of kwhost, and {answer.count} "
                "connections through it are open: end them, or stop it by `kwhost down`"
            )
        await self.stop()
        return False

    async def _ask(self, what: str, request: bytes, *descriptors: int) -> None:
        answer, _ = await self._exchange(request, *descriptors)
        if answer.error:
            text = os.strerror(answer.error)
            raise NetworkError(f"the forwarder in {self._run_dir} cannot {what}: {text}")

    async def _ask_for_record(self, request: bytes) -> tuple[wire.Answer, tuple[int, ...]] | None:
        """One record of a list, with descriptors that the caller closes; None behind its end."""
        answer, descriptors = await self._exchange(request)
        return None if answer.error else (answer, descriptors)

    async def _exchange(self, request: bytes, *descriptors: int) -> tuple[wire.Answer, tuple[int, ...]]:
        """Once begun it goes to its end: an answer that nobody reads would be taken for the next one's."""
        async with self._turn:
            if self.lost:
                raise NetworkError(f"the connection to the forwarder in {self._run_dir} is closed")
            try:
                with trio.fail_after(_ANSWER_SECONDS) as scope:
                    scope.shield = True
                    await self._control.sendmsg([request], pack_rights(descriptors))
                    return await self._answer()
            except (OSError, ValueError, trio.TooSlowError) as error:
                self.close()
                text = f"the forwarder in {self._run_dir} does not answer: {str(error) or 'it took too long'}"
                raise NetworkError(text) from error

    async def _answer(self) -> tuple[wire.Answer, tuple[int, ...]]:
        data, ancillary, *_ = await self._control.recvmsg(wire.ANSWER_SIZE, _ROOM, socket.MSG_CMSG_CLOEXEC)
        descriptors = unpack_rights(ancillary)
        try:
            return wire.Answer(data), descriptors
        except ValueError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def _raise_if_lost(self, error: Conflict | NetworkError) -> None:
        if self.lost:
            raise error


def _refuse_too_many(port: ForwardedPort, destinations: Sequence[Destination]) -> None:
    if len(destinations) > wire.DESTINATIONS_MAX:
        raise NetworkError(f"{port} cannot lead to more than {wire.DESTINATIONS_MAX} instances")
