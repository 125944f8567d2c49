"""What daemons say to the resolver: over a socket that they made, and that only they can reach."""

import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Address, NameRule
from kwhost.net.passing import receive_message, send_message
from kwhost.net.resolver.complaints import complain
from kwhost.net.resolver.listening import serve_tenant
from kwhost.net.resolver.pinning import Pinning
from kwhost.net.resolver.servers import Servers
from kwhost.net.resolver.tenant import Outside, Tenant
from kwhost.net.resolver.upstreams import Upstreams
from kwhost.net.zones import PROTOCOL, Zones, decode_zones, gateways

__all__ = ["Control"]

_ZONES_MAX: Final = 64 << 20
_REPAIR_SECONDS = 60.0
_CREDENTIALS = struct.Struct("3i")


class _Served:
    """A tenant that is answered, by its IPv4 gateway."""

    def __init__(self, tenant: Tenant, sockets: list[socket.socket]) -> None:
        self.tenant = tenant
        self.sockets = sockets
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def serve(self) -> None:
        """Until `end`."""
        with self._scope:
            await serve_tenant(self.tenant, self.sockets)
        self._ended.set()

    async def end(self) -> None:
        """Return when the sockets are closed: the daemon may bind others there as soon as it hears of it."""
        self._scope.cancel()
        await self._ended.wait()


class Control:
    """All that is answered. `allowed` are the users that may say what."""

    def __init__(self, nursery: trio.Nursery, allowed: frozenset[int]) -> None:
        self._nursery = nursery
        self._allowed = allowed
        self._servers = Servers()
        self._upstreams = Upstreams(self._servers)
        self._pinning: Pinning | None = None
        self._handed: dict[str, list[socket.socket]] = {}
        self._served: dict[str, _Served] = {}

    async def serve(self, listener: trio.socket.SocketType) -> None:
        """Take connections until cancelled."""
        while True:
            link, _ = await listener.accept()
            self._nursery.start_soon(self._serve_one, link)

    async def repair(self) -> None:
        """Put back, now and then, what others removed from the tables; until cancelled."""
        while True:
            await trio.sleep(_REPAIR_SECONDS)
            if self._pinning is not None:
                try:
                    await self._pinning.repair()
                except NetworkError as error:
                    complain(f"cannot let instances call names: {error}")

    async def _serve_one(self, link: trio.socket.SocketType) -> None:
        with link:
            credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(credentials)[1] not in self._allowed:
                return
            try:
                while True:
                    message, fds = await receive_message(link)
                    if message is None:
                        return
                    if message == {"do": "stop"}:
                        os.dup(link.fileno())  # the daemon hears of the end when all other sockets are closed
                        self._nursery.cancel_scope.cancel()
                    answer = await self._take(message, fds)
                    if answer is not None:
                        await send_message(link, answer, *self._asked_for(message))
            except (OSError, ValueError) as error:
                complain(f"the daemon is gone: {error}")

    async def _take(self, message: Any, fds: Sequence[int]) -> Any:
        """Do what a message says; the answer is for who sent it. Raises ValueError."""
        match message:
            case {"do": "listen", "zone": str(zone)}:
                self._hand(zone, [socket.socket(fileno=fd) for fd in fds])
                return None
            case {"do": "publish"} if len(fds) == 1:
                return await self._publish(fds[0])
        for fd in fds:
            os.close(fd)
        match message:
            case {"do": "stop"}:
                return None
            case {"do": "hello"}:
                zones = [*self._served, *self._handed]
                return {"protocol": PROTOCOL, "pid": os.getpid(), "zones": zones}
            case {"do": "sockets", "zone": str()}:
                return {}
            case {"do": "counts"}:
                return {one.tenant.zone.tenant: dict(one.tenant.counts) for one in self._served.values()}
        raise ValueError(f"{message!r} is no message")

    def _asked_for(self, message: Any) -> list[int]:
        """The sockets of a zone, which daemons keep too: they outlive a resolver that is killed."""
        match message:
            case {"do": "sockets", "zone": str(zone)}:
                served = self._served.get(zone)
                sockets = served.sockets if served else self._handed.get(zone, [])
                return [one.fileno() for one in sockets]
        return []

    def _hand(self, zone: str, sockets: list[socket.socket]) -> None:
        for one in self._handed.pop(zone, []):
            one.close()
        self._handed[zone] = sockets

    async def _publish(self, fd: int) -> Any:
        try:
            with open(fd, "rb") as file:  # noqa: ASYNC230 - memory
                zones = decode_zones(os.pread(file.fileno(), _ZONES_MAX, 0))
            self._servers.configure(zones.upstreams)
            await self._answer_by(zones)
        except (ValueError, NetworkError) as error:
            return {"error": str(error)}
        return {"loaded": [*self._served]}

    async def _answer_by(self, zones: Zones) -> None:
        if self._pinning is None or self._pinning.owner != zones.owner:
            self._pinning = Pinning(zones.owner)
        outside = Outside(self._upstreams, self._pinning, self._nursery)
        self._pinning.permit(_permitted(zones))
        wanted = {str(gateways(zone)[0]): zone for zone in zones.zones}
        for key in self._served.keys() - wanted.keys():
            await self._served.pop(key).end()
        for key, zone in wanted.items():
            if served := self._served.get(key):
                served.tenant.update(zone, outside)
            elif sockets := self._handed.pop(key, None):
                self._start(key, Tenant(zone, outside), sockets)
            else:
                raise ValueError(f"there are no sockets for the tenant {zone.tenant}")
        for key in [*self._handed]:
            for one in self._handed.pop(key):
                one.close()
        await self._pinning.repair()

    def _start(self, key: str, tenant: Tenant, sockets: list[socket.socket]) -> None:
        self._served[key] = served = _Served(tenant, sockets)
        self._nursery.start_soon(served.serve)


def _permitted(zones: Zones) -> dict[Address, tuple[NameRule, ...]]:
    """Who may call names, by address."""
    return {
        address: one.egress
        for zone in zones.zones
        for one in zone.residents
        if one.egress
        for address in (one.address4, one.address6)
    }
