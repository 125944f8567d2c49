"""What a daemon tells about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "Changes",
    "DaemonInfo",
    "PluginStatus",
    "ProcessEntry",
    "ThreadEntry",
    "ThreadState",
    "change_lines",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonInfo:
    """Of the running daemon; `started` is seconds since 1970, `configuration` the file it hosts, if any.
    From `insecure_registries` images may be pulled for it without encryption.

    `cgroups` is "v2", "v1" or "none"; `lacking` says in one line each what this host cannot hold.
    """

    version: str
    pid: int
    started: float
    state_dir: str
    run_dir: str
    configuration: str | None
    cgroups: str
    kvm: str
    tenants: int
    instances: int
    running: int
    lacking: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """One line of `plugin ls`: `state` is "active", "blocked" or "failed", `message` why."""

    name: str
    version: str
    hooks: tuple[str, ...]
    state: str
    message: str = ""
    failures: int = 0


class ThreadState(Enum):
    """As the host's kernel has it: a thread in the guest's own code runs, one in a system call of the guest
    may do any of these."""

    RUNNING = "running"
    SLEEPING = "sleeping"
    WAITING = "waiting"  # for a disk or the like, and cannot be interrupted
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadEntry:
    """A thread of a guest process: the host's tid, CPU seconds since its start; the guest names it."""

    tid: int
    name: str
    state: ThreadState
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEntry:
    """A guest process, one line of `top`: the host's pid, memory in bytes, CPU seconds since its start. Of
    its `threads` at most 64 are `listed`, oldest first."""

    pid: int
    user: str
    threads: int
    cpu_seconds: float
    memory: int
    command: str
    listed: tuple[ThreadEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a reload did: instances as TENANT/NAME, tenants by name. `refused` has a line for each instance
    that could not be made, `needs_restart` the keys of [host] that only a new daemon takes over. `policies`
    are the running instances that have other rules from now on, `policies_refused` has a line for each that
    keeps the old ones until it is started again."""

    tenants: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    adjusted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    policies_refused: tuple[str, ...] = ()


_CHANGE_WORDS = {
    "tenants": "changed tenant",
    "created": "created",
    "removed": "removed",
    "restarted": "restarted",
    "adjusted": "adjusted, still running",
    "refused": "refused",
    "needs_restart": "needs a new daemon",
    "policies": "has a changed policy, still running",
    "policies_refused": "keeps its policy",
}


def change_lines(changes: Mapping[str, Sequence[str]]) -> list[str]:
    """The fields of Changes as people read them: a line for each change."""
    return [f"{word}: {name}" for kind, word in _CHANGE_WORDS.items() for name in changes[kind]]
