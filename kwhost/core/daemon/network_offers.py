"""Networks that plugins offer: an instance gets a namespace, and the plugin attaches that to something."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from kwhost.core.errors import KwhostError, NetworkError
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.networking import Attached
from kwhost.hookspecs import DEADLINE_SECONDS, NetworkOffer, NetworkRequest
from kwhost.net.namespaces import new_namespace

if TYPE_CHECKING:
    from kwhost.core.model.ids import InstanceId

__all__ = ["OfferedNetworks"]


class OfferedNetworks:
    """`offers` gives the networks by name."""

    def __init__(self, offers: Callable[[], Mapping[str, NetworkOffer]]) -> None:
        self._offers = offers
        self._attached: dict[InstanceId, tuple[str, int]] = {}

    async def attach(self, record: InstanceRecord) -> Attached:
        """Raises NetworkError."""
        name = record.definition.network or ""
        offer = self._offers().get(name)
        if offer is None:
            raise NetworkError(f"no plugin offers the network {name!r} any more")
        if offer.attach is None:
            return Attached()
        namespace = await trio.to_thread.run_sync(new_namespace)
        self._attached[record.id] = name, namespace
        try:
            await self._call(name, offer.attach, _request(record, namespace))
        except BaseException:
            with trio.CancelScope(shield=True), suppress(KwhostError):
                await self.detach(record)
            raise
        return Attached(namespace)

    def adopt(self, record: InstanceRecord, pid: int) -> None:
        """What an earlier daemon had attached stays; only its namespace has to be known."""
        name = record.definition.network or ""
        offer = self._offers().get(name)
        if offer and offer.attach:
            with suppress(OSError):  # it has just ended
                namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._attached[record.id] = name, namespace

    async def detach(self, record: InstanceRecord) -> None:
        """Nothing where nothing is attached. Raises NetworkError."""
        name, namespace = self._attached.pop(record.id, ("", -1))
        if namespace < 0:
            return
        offer = self._offers().get(name)
        try:
            if offer and offer.detach:
                await self._call(name, offer.detach, _request(record, namespace))
        finally:
            os.close(namespace)

    async def _call(
        self, name: str, function: Callable[[NetworkRequest], None], request: NetworkRequest
    ) -> None:
        """In a thread of its own, and for so long."""
        what = f"the network {name!r} of {request.tenant}/{request.name}"
        try:
            with trio.fail_after(DEADLINE_SECONDS):
                await trio.to_thread.run_sync(partial(function, request), abandon_on_cancel=True)
        except trio.TooSlowError as error:
            raise NetworkError(f"{what}: its plugin took longer than {DEADLINE_SECONDS:g} s") from error
        except KwhostError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise NetworkError(f"{what}: its plugin failed: {type(error).__name__}: {error}") from error


def _request(record: InstanceRecord, namespace: int) -> NetworkRequest:
    return NetworkRequest(
        instance=record.id,
        tenant=record.tenant,
        name=record.name,
        namespace=f"/proc/{os.getpid()}/fd/{namespace}",
    )
