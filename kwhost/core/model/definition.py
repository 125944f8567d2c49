"""What a hosted instance is to be: one table `[tenants.T.instances.N]`, or one request of the API."""

from dataclasses import dataclass, field

from kwhost.core.model.chosen import Changes, Restart
from kwhost.core.model.healthcheck import Healthcheck, ProbeKind
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.instance import Engine
from kwhost.core.model.network import NO_TRAFFIC_OF_ITS_OWN, PublishedPort, Traffic
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.model.secrets import Secret
from kwhost.core.model.tmpfs import Tmpfs
from kwhost.core.model.volume import Volume

__all__ = ["BlockLimits", "Changes", "Healthcheck", "InstanceDefinition", "Limits", "ProbeKind", "Restart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLimits:
    """Bytes and operations a second, on each block device of the host; None: no limit."""

    read_bytes: int | None = None
    write_bytes: int | None = None
    read_operations: int | None = None
    write_operations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one instance; `memory` in bytes, `cpus` in CPUs' worth of time, `pids` in guest processes and
    threads, `storage` in bytes that it may write to its root; None: no limit.

    `memory_headroom` times `memory` of private writable memory is what programs may ask for before they get
    ENOMEM (what they ask for and never touch costs nothing, so this is more than 1).
    """

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    storage: int | None = None
    block: BlockLimits = BlockLimits()
    memory_headroom: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDefinition:
    """What an instance is to be; times in seconds. A change of any field but `restart`, `healthcheck`,
    `depends_on`, `stop_timeout`, `ports`, `traffic`, the policy and the limits of CPU time and block devices
    restarts the instance. An empty `command`, `entrypoint`, `workdir` and `user` None, and no `healthcheck`:
    the image's; with an `entrypoint` the image's own command does not count.

    `network` None is what the tenant's instances have by default. Replicas name in `replica_of` what they are
    replicas of: a published port leads to each of them in turn.

    `policy` names one of the configuration's policies or a built-in one; with `policy_text`, the TOML of a
    policy file, it is that one's name."""

    tenant: TenantName
    name: InstanceName
    command: tuple[str, ...]
    image: str = "host"
    rootfs: str | None = None
    entrypoint: tuple[str, ...] | None = None
    engine: Engine = Engine.AUTO
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    limits: Limits = Limits()
    changes: Changes = Changes.MEMORY
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    secrets: tuple[Secret, ...] = ()
    network: str | None = None
    ports: tuple[PublishedPort, ...] = ()
    traffic: Traffic = NO_TRAFFIC_OF_ITS_OWN
    replica_of: InstanceName | None = None
    policy: str = DEFAULT_POLICY
    policy_text: str | None = None
    init: bool = False
    read_only: bool = False
    interactive: bool = False
    terminal: bool = False
    restart: Restart = Restart.NO
    healthcheck: Healthcheck | None = None
    depends_on: tuple[InstanceName, ...] = ()
    stop_timeout: float = 10.0
    timeout: float | None = None
    auto_remove: bool = False
