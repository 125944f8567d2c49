"""An instance: what was asked for, and the plan that an engine carries out."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.model.ids import IdRange, InstanceName, TenantName
from kwhost.core.model.mounts import Mount
from kwhost.core.model.volume import Volume

if TYPE_CHECKING:
    from kwhost.core.model.network import PublishedPort
    from kwhost.core.model.secrets import Secret
    from kwhost.core.model.tmpfs import Tmpfs

__all__ = [
    "Engine",
    "GuestLimits",
    "Identity",
    "InstanceSpec",
    "Isolation",
    "LaunchPlan",
    "LogLimits",
    "TerminalSize",
]


class Engine(Enum):
    """How an instance is isolated; AUTO leaves the choice to the host's abilities."""

    AUTO = "auto"
    DIRECT = "direct"
    KERNEL = "kernel"
    PROCESS = "process"


class Isolation(Enum):
    """The least isolation that is acceptable."""

    VM = "vm"
    KERNEL = "kernel"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """What a user asked for, checked by itself but not yet against this host. What is None, and an empty
    command, are the image's; with an entrypoint the image's own command does not count. `tenant` is None
    without a daemon."""

    argv: tuple[str, ...]
    name: InstanceName
    image: str = "host"
    rootfs: str | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    volumes: tuple[Volume, ...] = ()
    tmpfs: "tuple[Tmpfs, ...]" = ()
    secrets: "tuple[Secret, ...]" = ()
    interactive: bool = False
    terminal: bool = False
    init: bool = False
    read_only: bool = False
    engine: Engine = Engine.AUTO
    isolation: Isolation = Isolation.VM
    network: str = "none"
    ports: "tuple[PublishedPort, ...]" = ()
    timeout: float | None = None
    tenant: TenantName | None = None


class Identity(NamedTuple):
    """Who the program starts as, inside its instance."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


class TerminalSize(NamedTuple):
    """Of the pseudo terminal, in characters."""

    rows: int = 24
    columns: int = 80


class LogLimits(NamedTuple):
    """Of an instance's log: bytes in one file, and how many files are kept."""

    size: int = 10 * 1024 * 1024
    files: int = 3


class GuestLimits(NamedTuple):
    """What the monitors and `supervise` hold by themselves; 0: nothing.

    `pids`: guest processes and threads. `memory`: bytes of private writable memory, beyond which programs
    get ENOMEM. `resident`: bytes of resident memory, sampled where no cgroup holds it.
    """

    pids: int = 0
    memory: int = 0
    resident: int = 0


_DEFAULT_LOG = LogLimits()
_NO_LIMITS = GuestLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """Everything an engine needs to start an instance; complete, nothing is looked up later."""

    name: InstanceName
    argv: tuple[str, ...]
    environment: dict[str, str]
    workdir: str
    identity: Identity
    ids: IdRange
    mounts: tuple[Mount, ...]
    nofile: int
    interactive: bool = False
    terminal: TerminalSize | None = None
    init: bool = False
    read_only: bool = False
    rootless: bool = False
    bare: bool = False  # neither namespaces nor mounts (core.engines.bare)
    hosted: bool = False
    log: LogLimits = _DEFAULT_LOG
    limits: GuestLimits = _NO_LIMITS
    waits_for_network: bool = False  # see supervise.driver
