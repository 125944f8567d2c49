"""The way to the resolver: a process of its own that is found or started, and told what to answer.

It lives on when the daemon dies, and answers as it was told last. It cannot bind ports: the daemon binds the
sockets at the gateways' addresses, also before these are there, and hands them over.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.ids import UID_LIMIT, TenantName
from kwhost.core.model.network import Transport
from kwhost.net.addresses import Subnet, gateway
from kwhost.net.namespaces import run_inside
from kwhost.net.passing import receive_message, send_message
from kwhost.net.resolving_process import PORT, bind_at, end_process, find_process, start_process
from kwhost.net.wishes import HostService, Namespace
from kwhost.net.zones import DOMAIN, PROTOCOL, Resident, Upstream, Zone, Zones, encode_zones, gateways

__all__ = [
    "RESOLVER_SERVICES",
    "RESOLVER_UID",
    "Resident",
    "Resolver",
    "Upstream",
    "Zone",
    "Zones",
    "resolver_configuration",
]

_Answer = TypeVar("_Answer")

# What a Network's `services` must have for its instances to reach the resolver.
RESOLVER_SERVICES = (HostService(Transport.UDP, PORT), HostService(Transport.TCP, PORT))
# Beyond those of all instances: the resolver's alone.
RESOLVER_UID = UID_LIMIT + PORT
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_LOST = (OSError, ValueError, trio.TooSlowError)


def resolver_configuration(tenant: TenantName, subnet: Subnet) -> str:
    """The text of an instance's /etc/resolv.conf."""
    servers = "".join(f"nameserver {gateway(net)}\n" for net in subnet)
    return f"{servers}search {tenant}.{DOMAIN}\noptions edns0\n"


class Resolver:
    """The resolver of one run_dir, for bridges in the namespace `namespace` (None: this process's).

    Usage: `publish` whenever something changed, before what it is about is attached and after it was
    detached; `keep` runs beside, in a task of its own. Closing leaves the process alone.
    """

    def __init__(self, run_dir: Path, *, namespace: Namespace | None = None, uid: int = RESOLVER_UID) -> None:
        self._path = run_dir / "resolve.sock"
        self._log = run_dir / "resolve.log"
        self._namespace = namespace
        self._uid = uid
        self._turn = trio.Lock()
        self._link: trio.socket.SocketType | None = None
        self._watched: trio.socket.SocketType | None = None  # the same, for `keep`
        self._held: frozenset[str] = frozenset()  # where it listens, by IPv4 gateway
        # The same sockets: nobody can take their places while there is no resolver, and questions wait there.
        self._sockets: dict[str, list[socket.socket]] = {}
        self._published: Zones | None = None
        self._child: int | None = None

    async def publish(self, zones: Zones) -> None:
        """Return when all questions are answered by `zones`; finds or starts the process.

        Cheap where nothing changed. What instances may call by names that `zones` does not allow any more,
        they may not call when this returns. Raises NetworkError.
        """
        async with self._turn:
            if self._link is not None and zones == self._published:
                return
            self._published = zones
            if self._link is not None:
                try:
                    await self._publish(zones)
                except _LOST:  # it ended: another one is started
                    self._hang_up()
                else:
                    return
            await self._trying(partial(self._publish, zones))

    async def keep(self) -> None:
        """Never returns: starts the resolver again, with the zones of before, whenever it ends."""
        while True:
            if self._watched is not None:
                with suppress(trio.ClosedResourceError):
                    await trio.lowlevel.wait_readable(self._watched)
            async with self._turn:
                if self._link is not None and _is_lost(self._link):
                    self._hang_up()
                if self._link is None and self._published is not None:
                    with suppress(NetworkError):  # tried again below
                        await self._trying(partial(self._publish, self._published))
            if self._watched is None:
                await trio.sleep(_AGAIN_SECONDS)

    async def counts(self) -> dict[TenantName, dict[str, int]]:
        """How many questions each tenant asked, by what became of them. Raises NetworkError."""
        async with self._turn:
            if self._link is None:
                return {}
            return await self._trying(partial(self._ask, {"do": "counts"}))

    async def process(self) -> int:
        """The pid of the process, whoever started it. Raises NetworkError."""
        async with self._turn:
            if self._link is None:
                raise NetworkError("no resolver runs")
            return int((await self._trying(partial(self._ask, {"do": "hello"})))["pid"])

    async def stop(self) -> None:
        """End the process, if there is one. Raises NetworkError."""
        async with self._turn:
            self._published = None
            self._hang_up()
            if link := await self._trying(partial(find_process, self._path)):
                with link:
                    await end_process(link)
            for file in (self._path, self._log):
                file.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Leave the process alone."""
        self._hang_up()
        self._drop_sockets(())

    def _hang_up(self) -> None:
        for one in (self._link, self._watched):
            if one is not None:
                one.close()
        self._link = self._watched = None
        self._reap()

    async def _trying(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do what speaks to the process; where that fails, the next one connects again."""
        try:
            return await work()
        except NetworkError:
            self._hang_up()
            raise
        except _LOST as error:
            self._hang_up()
            raise NetworkError(f"the resolver at {self._path} does not answer: {error}") from error

    async def _publish(self, zones: Zones) -> None:
        if self._link is None:
            await self._open()
        for zone in zones.zones:
            if str(gateways(zone)[0]) not in self._held:
                await self._hand_over(zone)
        with _memory_file(encode_zones(zones)) as file:
            answer = await self._ask({"do": "publish"}, file)
        if "loaded" not in answer:
            raise NetworkError(f"the resolver cannot answer by these zones: {answer.get('error')}")
        self._held = frozenset(answer["loaded"])
        self._drop_sockets(self._held)

    async def _hand_over(self, zone: Zone) -> None:
        """Sockets at the zone's gateways."""
        assert self._link
        key = str(gateways(zone)[0])
        if key not in self._sockets:
            self._sockets[key] = run_inside(self._namespace, partial(bind_at, gateways(zone)))
        descriptors = [one.fileno() for one in self._sockets[key]]
        await send_message(self._link, {"do": "listen", "zone": key}, *descriptors)
        self._held |= {key}

    async def _take_over(self, key: str) -> None:
        """The sockets that a process of before was given."""
        _, descriptors = await self._exchange({"do": "sockets", "zone": key})
        self._sockets[key] = [socket.socket(fileno=one) for one in descriptors]

    def _drop_sockets(self, kept: Collection[str]) -> None:
        for key in self._sockets.keys() - frozenset(kept):
            for one in self._sockets.pop(key):
                one.close()

    async def _open(self) -> None:
        """Find the process, or start one."""
        if link := await find_process(self._path):
            hello = await self._greet(link)
            if hello.get("protocol") == PROTOCOL:
                self._held = frozenset(hello["zones"])
                for key in self._held - self._sockets.keys():
                    await self._take_over(key)
                return
            await end_process(link)
            self._hang_up()
        self._child = start_process(self._path, self._log, self._namespace, self._uid)
        link = await find_process(self._path)
        if link is None:
            raise NetworkError(f"the resolver cannot start: see {self._log}")
        await self._greet(link)
        self._held = frozenset()

    async def _greet(self, link: trio.socket.SocketType) -> dict[str, Any]:
        self._link, self._watched = link, link.dup()
        return await self._ask({"do": "hello"})

    async def _ask(self, message: object, *fds: int) -> dict[Any, Any]:
        answer, others = await self._exchange(message, *fds)
        for fd in others:
            os.close(fd)
        return answer

    async def _exchange(self, message: object, *fds: int) -> tuple[dict[Any, Any], tuple[int, ...]]:
        """The answer, with descriptors that are the caller's."""
        assert self._link
        with trio.fail_after(_ANSWER_SECONDS):
            await send_message(self._link, message, *fds)
            answer, others = await receive_message(self._link)
        if not isinstance(answer, dict):
            raise ConnectionResetError(f"it ended: see {self._log}")
        return answer, others

    def _reap(self) -> None:
        """Take note of the end of a process that is our child."""
        if self._child is not None:
            with suppress(ChildProcessError):
                if not os.waitpid(self._child, os.WNOHANG)[0]:
                    return
            self._child = None


def _is_lost(link: trio.socket.SocketType) -> bool:
    with suppress(BlockingIOError):
        waiting = socket.socket(fileno=os.dup(link.fileno()))
        with waiting:
            try:
                return not waiting.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except ConnectionError:
                return True
    return False


@contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    file = os.memfd_create("kwhost-zones", os.MFD_CLOEXEC)
    try:
        os.ftruncate(file, len(content))
        os.pwrite(file, content, 0)
        yield file
    finally:
        os.close(file)
