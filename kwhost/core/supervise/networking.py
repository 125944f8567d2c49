"""What supervising asks of networks. The daemon makes them (core.daemon.networks); here is only the shape."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.mounts import Mount
from kwhost.core.model.network import InstanceAddresses
from kwhost.core.model.taps import Tap
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.driver import Driven, NetworkDriver

__all__ = ["Attached", "Networks", "TrafficCounts"]


class Attached(NamedTuple):
    """A network namespace for an instance, as a descriptor that stays open until `detach` (-1: the jail makes
    an empty one, which `driven` is about), and the files in the instance that tell of its network.

    `open_taps` opens what its engine is to drive; the caller closes the descriptors as soon as the engine has
    them. It blocks, and raises NetworkError.
    """

    namespace: int = -1
    files: tuple[Mount, ...] = ()
    driven: Driven = Driven()
    open_taps: Callable[[], tuple[Tap, ...]] = tuple


class TrafficCounts(NamedTuple):
    """Of an instance, since it was attached; `refused_packets` by reason."""

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int
    refused_packets: dict[str, int]


class Networks(Protocol):
    """The networks of a host's instances."""

    def choose(self, tenant: Tenant, definition: InstanceDefinition, engine: str, *, confined: bool) -> str:
        """The network that an instance is to have. `confined`: it may have what its tenant's users may.

        Raises UsageError where there is none of that name, or where it may not have it or its ports.
        """

    async def plan(self, record: InstanceRecord, tenant: Tenant) -> InstanceAddresses | None:
        """The addresses that an instance is to have, the same ones as before if it can; None: it has none.

        Raises Conflict and NetworkError.
        """

    async def attach(self, record: InstanceRecord, tenant: Tenant) -> Attached:
        """Make an instance's way into its network, with the addresses of the record, and take its ports.

        Raises KwhostError, with nothing left behind.
        """

    def driver(self, record: InstanceRecord, tenant: Tenant) -> NetworkDriver | None:
        """What drives the network of an instance that an earlier daemon started, if it needs that."""

    async def adopt(self, record: InstanceRecord, tenant: Tenant, pid: int) -> None:
        """Go on with an instance that an earlier daemon attached; `pid` is one of its processes."""

    async def running(self, instance: InstanceId, pid: int) -> None:
        """An attached instance's program runs, as process `pid`. Raises NetworkError."""

    async def serve(self, instance: InstanceId, *, healthy: bool) -> None:
        """Lead its published ports to it, or no more. Raises NetworkError."""

    async def redefine(self, record: InstanceRecord) -> None:
        """Change an attached instance's ports and traffic. Raises Conflict, NetworkError: then nothing has
        changed."""

    def counts(self, instance: InstanceId) -> TrafficCounts | None:
        """What was counted a short while ago; None: nothing yet, or it is not attached."""

    async def count(self) -> None:
        """Have what `counts` gives be of now."""

    async def detach(self, record: InstanceRecord) -> None:
        """Remove what attached an instance; nothing where nothing does. Raises NetworkError."""
