"""A world with a resolver, and instances that ask it."""

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import dns.message
import dns.name
import trio

from kwhost.core.model.network import NameRule
from kwhost.net.addresses import gateway
from kwhost.net.resolving import RESOLVER_SERVICES, Resident, Resolver, Upstream, Zone, Zones
from kwhost.net.wishes import Attachment
from tests.net.probes import make_socket
from tests.net.world import OUTSIDE4, World

__all__ = ["Asking", "in_thread", "resolving", "zones_of"]

_Answer = TypeVar("_Answer")


async def in_thread(work: Callable[..., _Answer], *arguments: object, **options: object) -> _Answer:
    """Do what blocks."""
    return await trio.to_thread.run_sync(partial(work, *arguments, **options))


def zones_of(
    world: World, *, forwards: bool = True, egress: tuple[NameRule, ...] = (), private: bool = False
) -> Zones:
    """Everybody attached, each also as a replica of "all"; of tenant 0, "one" has the egress."""
    return Zones(
        owner=world.wishes.owner,
        upstreams=(Upstream(OUTSIDE4),),
        zones=tuple(
            Zone(
                tenant=net.tenant,
                subnet=net.subnet,
                forwards=forwards,
                private_answers=private,
                residents=tuple(
                    Resident(
                        name=one.name,
                        services=("all",),
                        address4=one.address4,
                        address6=one.address6,
                        egress=egress if one == world.of(0, 0) else (),
                    )
                    for one in world.wishes.attachments
                    if one.tenant == net.tenant
                ),
            )
            for net in world.wishes.networks
        ),
    )


@dataclass(frozen=True, slots=True)
class Asking:
    """Questions of an instance to its gateway."""

    world: World
    one: Attachment
    version: int = 4

    @property
    def server(self) -> str:
        nets = next(net.subnet for net in self.world.wishes.networks if net.tenant == self.one.tenant)
        return str(gateway(nets.net4 if self.version == 4 else nets.net6))

    def socket(self, kind: socket.SocketKind = socket.SOCK_DGRAM, server: str = "") -> socket.socket:
        """Connected to the resolver."""
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        made = make_socket(self.world.place(self.one), family, kind)
        made.connect((server or self.server, 53))
        return made

    def ask(self, name: str, kind: str = "A", *, tcp: bool = False, **edns: int) -> dns.message.Message:
        """The answer."""
        query = dns.message.make_query(name, kind, **edns)  # type: ignore[arg-type]
        with self.socket(socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as asking:
            if not tcp:
                asking.send(query.to_wire())
                return dns.message.from_wire(asking.recv(4096))
            asking.sendall(query.to_wire(prepend_length=True))
            size = struct.unpack("!H", asking.recv(2, socket.MSG_WAITALL))[0]
            return dns.message.from_wire(asking.recv(size, socket.MSG_WAITALL))

    def told(self, name: str, kind: str = "A", *, tcp: bool = False) -> set[str]:
        """The records of the answer, as text."""
        return {str(one) for rrset in self.ask(name, kind, tcp=tcp).answer for one in rrset}

    def code(self, name: str, kind: str = "A") -> str:
        """How it was answered."""
        return dns.rcode.to_text(self.ask(name, kind).rcode())


@asynccontextmanager
async def resolving(world: World, run_dir: Path, zones: Zones | None = None) -> AsyncIterator[Resolver]:
    """A resolver that answers by the zones, and ends."""
    networks = tuple(replace(one, services=RESOLVER_SERVICES) for one in world.wishes.networks)
    world.apply(replace(world.wishes, networks=networks))
    resolver = Resolver(run_dir, namespace=world.namespace)
    try:
        await resolver.publish(zones or zones_of(world))
        yield resolver
    finally:
        with trio.CancelScope(shield=True):
            await resolver.stop()
