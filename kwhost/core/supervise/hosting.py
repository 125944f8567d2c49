"""The operations behind the API: what a daemon can be asked to do, and the records it is asked with.

Who may ask is decided before (core.api.auth); everything here acts. Each operation raises KwhostError:
NotFound for what does not exist, Conflict for what the instance's state does not allow, QuotaExceeded,
UsageError for a request that makes no sense, HostError and LaunchError for what this host does not give.
An operation that raises has changed nothing. Whoever asked may go away, which cancels the operation: it has
then happened wholly, or not at all.
"""

# ruff: noqa: A002 - `id` is the word for it

from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from trio.abc import ReceiveStream, SendStream

from kwhost.core.model.connections import Connections
from kwhost.core.model.daemon import Changes, DaemonInfo, PluginStatus, ProcessEntry
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import AuditRecord, EventPage
from kwhost.core.model.history import History
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.instance import TerminalSize
from kwhost.core.model.memory import InstanceMemory
from kwhost.core.model.network import PublishedPort
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import InstanceStatus, TenantStatus, Usage
from kwhost.core.model.storage import InstanceStorage
from kwhost.core.model.tenant import Tenant
from kwhost.core.supervise.images import ImageHosting
from kwhost.core.supervise.policy_hosting import PolicyHosting
from kwhost.core.supervise.volumes import VolumeHosting

__all__ = ["NO_SECRETS", "ExecRequest", "Hosting", "Session", "StdioFds"]


NO_SECRETS: Mapping[str, bytes] = MappingProxyType({})


class StdioFds(NamedTuple):
    """The program's ends of a session's streams; -1: that one is not connected. Whoever passes them on
    keeps them and closes them."""

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """A further program in a running instance.

    `environment` is added to the instance's own; `workdir` and `user` None: the instance's. With
    `terminal` it gets a terminal of that size. Without `interactive` its standard input is empty.
    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    terminal: TerminalSize | None = None
    interactive: bool = False


class Session(Protocol):
    """A connection to a program's standard streams. Whoever got it closes it; until then the other end
    waits for whoever reads too slowly."""

    @property
    def stdin(self) -> SendStream | None:
        """Where the program's input goes; closing it is the end of input. None: it has none."""

    @property
    def stdout(self) -> ReceiveStream:
        """What the program writes; with a terminal all of it, and the end may show as BrokenResourceError."""

    @property
    def stderr(self) -> ReceiveStream | None:
        """What the program writes to standard error; None with a terminal."""

    async def resize(self, size: TerminalSize) -> None:
        """Tell the terminal its new size; without one, nothing."""

    async def signal(self, number: int) -> None:
        """Send a signal to the program; nothing once it has ended."""

    async def wait(self) -> int:
        """The program's exit status once it has ended (128 + N: by signal N). Its last output may still be
        in the streams then."""

    async def aclose(self) -> None:
        """Let go of the streams. A program that was attached to goes on; one of `execute` is killed."""


class Hosting(Protocol):
    """All tenants and instances of this host."""

    # What there is. None of these wait.

    def info(self) -> DaemonInfo:
        """About the daemon and this host."""

    def configured_tenants(self) -> Mapping[TenantName, Tenant]:
        """Who may do what: each tenant with its users and the directories that these may bind."""

    def tenants(self) -> tuple[TenantStatus, ...]:
        """Every tenant with its quotas and their use, by name."""

    def instances(self) -> tuple[InstanceStatus, ...]:
        """Every instance that was not removed, by tenant and name."""

    def find(self, reference: str, tenants: Container[TenantName] | None) -> InstanceStatus:
        """The instance that `reference` means: ID, the beginning of exactly one ID (four digits or more),
        TENANT/NAME, or NAME where only one tenant has it. Only `tenants` are looked at; None: all.

        Raises NotFound, Ambiguous.
        """

    def definition(self, id: InstanceId) -> InstanceDefinition:
        """What the instance was asked to be. Raises NotFound."""

    async def count_traffic(self) -> None:
        """Have what `usage` says of networks be of now."""

    def usage(self, id: InstanceId) -> Usage:
        """What the instance uses now. Raises NotFound; an instance that does not run uses nothing."""

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:
        """What the monitors counted in the present run, or in the last one that this daemon saw; None: there
        was none. Raises NotFound."""

    def history(self, id: InstanceId) -> History:
        """What the instance used in the last hours. Raises NotFound."""

    def plugins(self) -> tuple[PluginStatus, ...]:
        """Every plugin, by name."""

    async def processes(self, id: InstanceId) -> tuple[ProcessEntry, ...]:
        """The guest processes that run in the instance, oldest first. Raises NotFound, and Conflict
        where it does not run."""

    async def connections(self, id: InstanceId) -> Connections:
        """What the instance is connected with and waits for. Raises as `processes`, and HostError."""

    async def memory(self, id: InstanceId) -> InstanceMemory:
        """What its memory is for. Raises as `connections`."""

    async def storage(self, id: InstanceId) -> InstanceStorage:
        """What its files are. Raises NotFound."""

    # Instances.

    async def create(
        self,
        definition: InstanceDefinition,
        *,
        start: bool,
        confined: bool,
        secrets: Mapping[str, bytes] = NO_SECRETS,
    ) -> InstanceStatus:
        """Admit and record a new instance, and start it if asked; with `start` it returns once the program
        runs, and an instance that does not start is not kept.

        `confined`: one of the tenant's users asks. What the instance binds must then lie, with all links
        followed, beneath the tenant's `binds`, at each start: a link can be changed in between.

        `secrets`: the contents of those that the definition names, unless it names files too.

        Raises NotFound (tenant), Conflict (the name is taken), QuotaExceeded, and what starting raises.
        """

    async def start(self, id: InstanceId) -> None:
        """Start an instance that is created or ended; returns once the program runs. Raises NotFound,
        Conflict, QuotaExceeded, LaunchError."""

    async def stop(self, id: InstanceId, timeout: float | None) -> None:
        """Ask the program to end, kill it after `timeout` seconds (None: the definition's), and return when
        it has ended; it is not restarted. An instance that has ended already is no error. Raises NotFound."""

    async def kill(self, id: InstanceId, signal: int) -> None:
        """Send a signal to the program. Raises NotFound, Conflict where it does not run."""

    async def pause(self, id: InstanceId) -> None:
        """Freeze the instance. Raises NotFound, Conflict unless it runs."""

    async def resume(self, id: InstanceId) -> None:
        """Let a paused instance go on. Raises NotFound, Conflict unless it is paused."""

    async def restart(self, id: InstanceId, timeout: float | None) -> None:
        """Stop as `stop`, then start. Raises as both."""

    async def publish(self, id: InstanceId, port: PublishedPort, *, confined: bool) -> None:
        """Lead a port of the host to the instance, from now on; a configuration that has the instance says
        anew with each reload which there are. `confined`: one of the tenant's users asks.

        Raises NotFound, UsageError for one that it may not have, Conflict where it is taken, NetworkError.
        """

    async def unpublish(self, id: InstanceId, port: PublishedPort) -> None:
        """Lead it there no more. Raises NotFound (port or instance), Conflict, NetworkError."""

    async def remove(self, id: InstanceId, *, force: bool) -> None:
        """Forget an instance and delete what it left: log and record. Raises NotFound, and Conflict where it
        runs, unless `force`, which kills it first."""

    async def wait_end(self, id: InstanceId) -> InstanceStatus:
        """Wait until the instance does not run and will not be restarted by itself; at once where that is so
        already. The status is its last one, also where the instance is removed meanwhile. Raises NotFound."""

    async def prune(self) -> tuple[InstanceStatus, ...]:
        """Remove every instance that has ended and that the configuration does not have; gives what they
        were. Raises StoreError."""

    # Programs' streams and files.

    async def execute(self, id: InstanceId, request: ExecRequest) -> Session:
        """Start a further program in the instance; returns once it runs. Raises NotFound, Conflict,
        LaunchError (126 and 127 as in shells)."""

    async def attach(self, id: InstanceId, *, stdin: bool, start: bool) -> Session:
        """Connect to the streams of the instance's program, to its input too with `stdin`. With `start` the
        instance is started, as by `start`, with the session connected first: nothing of its output is
        missed. Raises NotFound, Conflict, and what `start` raises."""

    def log_directory(self, id: InstanceId) -> Path:
        """Where the instance's log files are (core.store.logs reads them). Raises NotFound."""

    async def wait_log(self, id: InstanceId, mark: int) -> int | None:
        """Wait until the log may have changed since `mark`, and return the mark of now; 0 returns at once.
        None once nothing more will be written, because the instance has ended for good or is removed: all
        that it wrote can be read then. Raises NotFound."""

    def archive_get(self, id: InstanceId, path: str) -> AsyncGenerator[bytes, None]:
        """A tar archive of the file or directory at `path` in the instance, in pieces; its names begin with
        the last one of `path` (`.` for the root). A symbolic link is copied as such, unless `path` ends with
        a slash. Left out are devices, sockets and pipes, and what the instance's own root may not read.
        Owners are the instance's ids. Whoever does not want the rest closes it.

        Raises NotFound, Conflict unless the instance runs, UsageError, PermissionDenied; nearly always before
        the first piece. Where it raises later, the archive has no end.
        """

    async def archive_put(self, id: InstanceId, path: str, archive: AsyncIterator[bytes]) -> None:
        """Unpack a tar archive in the directory at `path` in the instance, with the rights of its own root.
        Its names must stay within; owners are the instance's ids. What stood before the entry that could not
        be unpacked stays.

        Raises NotFound, Conflict unless the instance runs or where there is no room, UsageError for what is
        no archive or has an entry that is refused, PermissionDenied.
        """

    @property
    def policies(self) -> PolicyHosting:
        """System call policies, the questions that they ask, and the answers."""

    @property
    def images(self) -> ImageHosting:
        """The images that are kept on this host."""

    @property
    def volumes(self) -> VolumeHosting:
        """The volumes that tenants have on this host."""

    # What happened.

    def last_event(self) -> int:
        """The sequence number of the newest event; 0 where there never was one."""

    async def events(
        self,
        after: int,
        tenants: Container[TenantName] | None,
        limit: int,
        instance: InstanceId | None = None,
    ) -> EventPage:
        """The oldest events of `tenants` (None: all, and those of the daemon) and of `instance` (None: any)
        after sequence number `after`; at most `limit` of them. 0: from the oldest that the journal has."""

    async def newest_events(
        self, count: int, tenants: Container[TenantName] | None, instance: InstanceId | None
    ) -> int:
        """The sequence number after which the newest `count` such events follow, at most 10,000."""

    async def wait_event(self, after: int) -> None:
        """Wait until there is an event, of whomever, after sequence number `after`."""

    async def audit(self, limit: int, instance: InstanceId | None = None) -> tuple[AuditRecord, ...]:
        """The newest entries of the audit, of an instance (None: all), oldest first."""

    # The daemon.

    async def reload(self) -> Changes:
        """Read the configuration again and apply the difference. Raises ConfigErrors, having changed
        nothing, where it is wrong."""

    async def shutdown(self, *, stop_instances: bool) -> None:
        """Have the daemon end; returns as soon as that is decided. Instances are stopped or go on."""
