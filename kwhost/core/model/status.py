"""What an instance is at the moment: its life cycle, its record, its use of resources."""

from dataclasses import dataclass
from enum import Enum

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.protections import Protections

__all__ = ["EndReason", "Health", "InstanceState", "InstanceStatus", "RootStatus", "TenantStatus", "Usage"]


class InstanceState(Enum):
    """Where an instance is in its life; core.supervise.lifecycle has the allowed steps."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    EXITED = "exited"
    FAILED = "failed"
    CRASH_LOOP = "crash-loop"


class Health(Enum):
    """What the health check found; NONE: there is no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class EndReason(Enum):
    """Why an instance ended."""

    EXITED = "exited"  # by itself, or by a signal
    FAILED = "failed"  # it did not start
    STOPPED = "stopped"  # an operator's stop or kill
    MEMORY = "memory"  # beyond its memory
    TIMEOUT = "timeout"
    LOST = "lost"  # its supervising process was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class RootStatus:
    """How an instance's root is made: `kind` is overlay (over an image's layers, or a directory), reflink or
    copy (of them, where no overlay is to be had), tmpfs (this host's programs in it), bind or bare (without
    mounts). What it writes to it goes to `changes`: memory,
    disk, directory, or nowhere; `size` is the most that it may take, in bytes (None: as much as there is, or
    its memory)."""

    kind: str
    changes: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """One line of `ps`; times are seconds since 1970, None where there is none yet. `addresses` are those in
    its tenant's network, `ports` those of the host that lead to it; `protections` what stands between it and
    this host where it has no virtual machine; `root` is that of the present run, or the last."""

    id: InstanceId
    name: InstanceName
    tenant: TenantName
    engine: str
    isolation: str
    state: InstanceState
    health: Health
    pid: int | None
    image: str
    command: tuple[str, ...]
    created: float
    started: float | None
    ended: float | None
    exit_code: int | None
    reason: EndReason | None
    message: str
    restarts: int
    network: str = "none"
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    ports: tuple[str, ...] = ()
    protections: Protections | None = None
    root: RootStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an instance uses; None: not known. `cpu_seconds` since its start, `memory` and `memory_peak` in
    bytes, `pids` in guest processes and threads; calls since the start, of the engine `process` only the
    `notified` ones, which its filter asked about. What the instance sent and received through its network,
    and the packets that were refused, by reason."""

    cpu_seconds: float | None = None
    memory: int | None = None
    memory_peak: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    pids_limit: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    calls: int | None = None
    refused: int | None = None
    notified: int | None = None
    exits: int | None = None
    faults: int | None = None
    start_seconds: float | None = None
    sent_bytes: int | None = None
    sent_packets: int | None = None
    received_bytes: int | None = None
    received_packets: int | None = None
    refused_packets: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """One line of `tenant ls`: each quota with what is used of it."""

    name: TenantName
    users: tuple[str, ...]
    isolation: str
    instances: int
    running: int
    used: dict[str, float]
    quota: dict[str, float | None]
