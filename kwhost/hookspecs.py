"""Everything that a plugin may implement, in chapters, and the records that it answers with.

A plugin is a module, or an object, with functions that are marked `@hookimpl` and named as the hooks here.
An implementation names the arguments that it wants and may leave out the others; argument names are the
contract.

**Declarations** (`configuration_type`, `engines`, `image_sources`, `storages`, `networks`, `cli_commands`,
`tui_panels`, `tui_columns`) are plain functions, called once when the plugin is loaded. The other hooks are
called while the daemon runs. These may be plain functions, which are then called in a thread of their own;
`async def`, in the daemon's trio loop, which they must not hold up; or plain functions that return an async
function without arguments, which is awaited in the loop. A call has DEADLINE_SECONDS.

`configuration` is the plugin's own section `[plugins.NAME]`, an object of the type that
`configuration_type` named; None for a plugin that named none.

May import: core.model, core.errors, pluggy. Importing it loads neither trio nor cffi.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pluggy

from kwhost.core.model.decisions import Answer, Decision, Question
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import Event
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.image import ImageSettings
from kwhost.core.model.instance import Isolation
from kwhost.core.model.mounts import Mount
from kwhost.core.model.network import Uplink
from kwhost.core.model.rules import RuleKind
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import InstanceStatus, TenantStatus, Usage
from kwhost.core.model.tenant import Tenant
from kwhost.core.model.volume_backing import VolumeBacking

if TYPE_CHECKING:
    import trio

__all__ = [
    "DEADLINE_SECONDS",
    "IMAGE_STORE",
    "CliCommand",
    "EngineOffer",
    "HostView",
    "ImagePlan",
    "ImageRequest",
    "ImageSource",
    "Metric",
    "MetricKind",
    "NetworkOffer",
    "NetworkRequest",
    "PluginHost",
    "Sample",
    "StorageOffer",
    "TuiCell",
    "TuiColumn",
    "TuiFleet",
    "TuiInstanceColumn",
    "TuiPanel",
    "TuiSource",
    "TuiTone",
    "Uplink",
    "VolumeBacking",
    "hookimpl",
    "hookspec",
]

# How long one call of a hook may take; for `serve`, until it has reported that it started.
DEADLINE_SECONDS = 5.0

hookspec = pluggy.HookspecMarker("kwhost")
hookimpl = pluggy.HookimplMarker("kwhost")

# --------------------------------------------------------------------------------------------------
# What a plugin can ask of its host
# --------------------------------------------------------------------------------------------------


class HostView(Protocol):
    """The tenants and instances of this host. Nothing here waits but what is async."""

    @property
    def run_dir(self) -> Path:
        """Where sockets belong: gone after a reboot."""

    @property
    def state_dir(self) -> Path:
        """For what outlives a reboot: a plugin has the directory plugins/NAME beneath it, and makes it."""

    def tenants(self) -> tuple[TenantStatus, ...]:
        """Every tenant with its quotas and their use."""

    def instances(self) -> tuple[InstanceStatus, ...]:
        """Every instance that was not removed."""

    def usage(self, id: InstanceId) -> Usage:  # noqa: A002 - it is the word for it
        """What an instance uses now. Raises NotFound."""

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:  # noqa: A002
        """What an instance's monitors counted; None where it does not run. Raises NotFound."""

    async def refresh_policy(self, id: InstanceId) -> None:  # noqa: A002
        """Ask all plugins for their policy layers of a running instance again. Raises NotFound, and Conflict
        where a change is beyond the ceiling that it was started with."""


class PluginHost(HostView, Protocol):
    """The host as one plugin sees it. May be used from the daemon's loop and from the threads that plain
    hooks are called in."""

    def log(self, line: str) -> None:
        """Add a line, under the plugin's name, to the daemon's journal."""

    async def metrics(self) -> "tuple[Metric, ...]":
        """What all plugins contribute through the hook `metrics`."""


# --------------------------------------------------------------------------------------------------
# Configuration
# --------------------------------------------------------------------------------------------------


@hookspec
def configuration_type() -> type[object]:  # type: ignore[empty-body]
    """The type of the plugin's section `[plugins.NAME]`: a msgspec.Struct or a dataclass.

    The section is checked against it, field by field, so that all mistakes are reported at once. Rules of
    your own go to `__post_init__`, which raises ValueError. A missing section counts as an empty one.
    """


# --------------------------------------------------------------------------------------------------
# What instances are made of
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOffer:
    """A way of isolating instances, for `engine = "NAME"`.

    `isolation` is the strongest floor that it satisfies, `enforces` the kinds of policy rules that it holds:
    an instance with another rule is not started. `factory` is called for each start with the lease
    of the instance's ids (core.engines.id_ranges.IdLease) and returns a core.engines.base.Engine. Both
    stand above this module, hence Any.

    `tap_queues`: how many queues the tap has that attaches an instance to its tenant's network (1 to 8), for
    an engine with a guest kernel; it gets their descriptors. None: the engine's instances run in a network
    namespace that it is given.
    """

    name: str
    isolation: Isolation
    factory: Callable[[Any], Any]
    enforces: frozenset[RuleKind] = frozenset()
    tap_queues: int | None = None


@hookspec
def engines() -> Sequence[EngineOffer]:  # type: ignore[empty-body]
    """The engines that the plugin offers."""


# The source of the images that are called like app:1.
IMAGE_STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """An image for one instance; `reference` is what follows the source's name in `image =
    "NAME:REFERENCE"`. A source keeps what it has of its own in the directory plugins/NAME of `state_dir`.

    `digest` is that of the plan of the last run, where the instance is to have the same image again, whatever
    its name means now; "" where the name counts.
    """

    reference: str
    instance: InstanceName
    tenant: TenantName
    read_only: bool
    state_dir: Path
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """How an instance's root is made: the steps in order, and the directory of this host beneath which the
    image's etc/passwd and etc/group are (they are read as hostile).

    `settings` are what the image says about running it. `digest` is for what was put into kwhost's own store,
    where it stays as long as the instance has it. `pin` is a descriptor, or -1: kwhost closes it once the
    instance has begun, or cannot begin, and until then the source keeps what the steps name.
    """

    mounts: tuple[Mount, ...]
    accounts_root: str
    settings: ImageSettings | None = None
    digest: str = ""
    pin: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """A kind of image, for `image = "NAME"` or `image = "NAME:REFERENCE"`. The source IMAGE_STORE has all
    that names no other one, and gets the whole of it.

    `plan` is called in a thread, for each start, and has PLAN_SECONDS (core.pluginmgr.images). It raises
    ImageError for an image that cannot be used.
    """

    name: str
    plan: Callable[[ImageRequest], ImagePlan]


@hookspec
def image_sources() -> Sequence[ImageSource]:  # type: ignore[empty-body]
    """The image sources that the plugin offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOffer:
    """A way of keeping volumes, for `volume_storage = "NAME"` in `[host]`. Volumes stay with the storage that
    made them. `least` is how many bytes the smallest one has; None: sizes are not held."""

    name: str
    summary: str
    backing: VolumeBacking
    least: int | None = None


@hookspec
def storages() -> Sequence[StorageOffer]:  # type: ignore[empty-body]
    """The storages for volumes that the plugin offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """An instance that is to be attached, or that was. `namespace` is the path of its network namespace, for
    the daemon's own processes: it has a loopback interface and nothing else, and goes with the instance."""

    instance: InstanceId
    tenant: TenantName
    name: InstanceName
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOffer:
    """A kind of network, for `network = "NAME"`; `summary` says in one line what an instance reaches.

    `attach` puts something into the instance's namespace, before its program starts, and `detach` removes
    what is outside of it after the end, also where `attach` failed. Each is called in a thread and has
    DEADLINE_SECONDS; what they raise fails the start, or is told. Without `attach` an instance has its
    loopback alone.
    """

    name: str
    summary: str
    attach: Callable[[NetworkRequest], None] | None = None
    detach: Callable[[NetworkRequest], None] | None = None


@hookspec
def networks() -> Sequence[NetworkOffer]:  # type: ignore[empty-body]
    """The networks that the plugin offers."""


@hookspec
def network_uplinks(  # type: ignore[empty-body]
    tenant: Tenant, subnet: tuple[IPv4Network, IPv6Network], host: PluginHost, configuration: Any
) -> Sequence[Uplink]:
    """The interfaces behind which the network of a tenant, whose addresses here are `subnet`, goes on.

    The plugin makes them before it answers, down and without addresses; kwhost sets routes and rules, and
    brings them up once the rules hold. Through an uplink pass packets between `subnet` and the uplink's
    subnets, and nothing else. Asked when networks are set up: at the daemon's start and after each reload. A
    plugin that fails leaves the uplinks as they were.
    """


# --------------------------------------------------------------------------------------------------
# Admission
# --------------------------------------------------------------------------------------------------


@hookspec
def admit_instance(tenant: Tenant, definition: InstanceDefinition, configuration: Any) -> str | None:
    """Whether the tenant may have this instance: None, or the reason why not, in one line.

    Asked after quotas and before anything is made. All plugins must agree. A plugin that fails refuses,
    also once it is disabled for its failures.
    """


# --------------------------------------------------------------------------------------------------
# Policy
# --------------------------------------------------------------------------------------------------


@hookspec
def policy_layer(
    tenant: Tenant, definition: InstanceDefinition, status: InstanceStatus, configuration: Any
) -> Mapping[str, object] | None:
    """A layer of system call policy for an instance: a policy table as a file would have it (`{"default":
    "allow", "syscalls": {"deny": ["execve"]}}`), or None.

    Of the verdicts of all layers the strictest counts, so a plugin can only take away. Asked at each start,
    and again when `PluginHost.refresh_policy` is called; what comes then holds at once. A plugin that fails
    at the start refuses it; one that fails later leaves its layer as it was, and the journal says so.
    """


@hookspec
def answer_question(question: Question, host: PluginHost, configuration: Any) -> Answer | None:
    """Whether a call that a rule asks about may be made; None leaves it to the others and to the operator.

    All plugins are asked at once. One that refuses decides, then one that allows; a plugin that fails
    refuses. It has until the question's deadline, which it sees, and DEADLINE_SECONDS do not count.
    """


@hookspec
def policy_decision(decision: Decision, host: PluginHost, configuration: Any) -> None:
    """A rule logged or refused a call, or a question was answered. In order, one at a time, as events are;
    rate-limited for each instance: see Decision.lost."""


# --------------------------------------------------------------------------------------------------
# Life cycle
# --------------------------------------------------------------------------------------------------


@hookspec
def instance_event(event: Event, host: PluginHost, configuration: Any) -> None:
    """Something happened to an instance: its start, its health, its end and so on.

    Events come in their order, one at a time, while `serve` of the host runs. A plugin that is too slow by
    EVENTS_MAX (core.pluginmgr.delivery) misses events, which is reported.
    """


# --------------------------------------------------------------------------------------------------
# Metrics
# --------------------------------------------------------------------------------------------------


class MetricKind(Enum):
    """How a metric's values move."""

    COUNTER = "counter"  # only up; its name ends in _total
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a metric."""

    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric with its values. `name` and label names are those of the Prometheus exposition format; base
    units (seconds, bytes) are in the name."""

    name: str
    help: str
    kind: MetricKind
    samples: tuple[Sample, ...]


@hookspec
def metrics(host: PluginHost, configuration: Any) -> Sequence[Metric]:  # type: ignore[empty-body]
    """What the plugin measures, for whichever plugin exports it; asked whenever somebody looks."""


# --------------------------------------------------------------------------------------------------
# The daemon's life
# --------------------------------------------------------------------------------------------------


@hookspec
async def serve(host: PluginHost, configuration: Any, task_status: "trio.TaskStatus[None]") -> None:
    """Run for as long as the daemon does: an exporter, a watcher. Always `async def`.

    Calls `task_status.started()` once it is ready. Is cancelled when the daemon ends, and started anew when
    its configuration changes. When it raises it is started again after a while; returning is fine.
    """


# --------------------------------------------------------------------------------------------------
# The command line
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CliCommand:
    """A command `kwhost NAME`; `main` gets the arguments after the name and returns the exit status.

    It runs in the command's own process, not in the daemon. KwhostError becomes one line.
    """

    name: str
    summary: str
    main: Callable[[Sequence[str]], int]


@hookspec
def cli_commands() -> Sequence[CliCommand]:  # type: ignore[empty-body]
    """The commands that the plugin adds; names of kwhost's own commands stay kwhost's."""


# --------------------------------------------------------------------------------------------------
# The terminal interface
# --------------------------------------------------------------------------------------------------


class TuiTone(Enum):
    """What a cell says, by its colour too."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    DIM = "dim"
    ACCENT = "accent"


class TuiCell(NamedTuple):
    """Text of one cell. Whatever is in it, nothing acts on the terminal."""

    text: str
    tone: TuiTone = TuiTone.PLAIN


class TuiColumn(NamedTuple):
    """`width` is in characters; the one with 0 has the rest."""

    title: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiSource:
    """What a tab is about: an instance of the daemon at `socket`."""

    socket: Path
    run_dir: Path
    instance: InstanceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiPanel:
    """A tab of each instance. `read` gives its rows, as many cells in each as there are columns; a text is a
    cell without a tone. It is called in a thread of the interface's process, again and again while the tab is
    seen, and has DEADLINE_SECONDS."""

    name: str
    title: str
    columns: tuple[TuiColumn, ...]
    read: Callable[[TuiSource], Sequence[Sequence[TuiCell | str]]]


@hookspec
def tui_panels() -> Sequence[TuiPanel]:  # type: ignore[empty-body]
    """The tabs that the plugin adds to `kwhost tui`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiFleet:
    """What a column is about: all instances of the daemon at `socket`."""

    socket: Path
    run_dir: Path
    instances: Sequence[InstanceStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiInstanceColumn:
    """A column of the overview, `width` characters wide, 1 to 20. `read` gives the cells of all instances at
    once, by their ids, and may leave some out. It is called in a thread of the interface's process, again and
    again while the overview is seen, and has DEADLINE_SECONDS."""

    name: str
    title: str
    width: int
    read: Callable[[TuiFleet], Mapping[InstanceId, TuiCell | str]]
    right: bool = False


@hookspec
def tui_columns() -> Sequence[TuiInstanceColumn]:  # type: ignore[empty-body]
    """The columns that the plugin adds to the overview of `kwhost tui`."""
