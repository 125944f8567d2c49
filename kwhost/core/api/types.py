"""What requests and answers hold, beyond the records of core.model; times are seconds since 1970."""

from dataclasses import dataclass, field, fields
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from kwhost.core.errors import UsageError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.policy import CallAction
from kwhost.core.model.secrets import Secret, check_secrets
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import InstanceState, InstanceStatus, Usage

__all__ = [
    "CallRequest",
    "CallUse",
    "Counted",
    "ExecBody",
    "FailureBody",
    "FailureDetail",
    "InstanceUse",
    "LeftOut",
    "LogEntry",
    "NewInstance",
    "Size",
    "StatsAnswer",
    "Version",
    "VolumeBody",
    "stats_of",
    "use_of",
]

_Cells = Annotated[int, Meta(ge=1, le=0xFFFF)]


class Version(Struct, frozen=True, kw_only=True):
    """Of the daemon, and of this interface."""

    version: str
    api: str = "v1"


class Size(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a terminal, in characters."""

    rows: _Cells
    columns: _Cells


class ExecBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further program in a running instance; see core.supervise.hosting.ExecRequest."""

    command: tuple[str, ...]
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    terminal: Size | None = None
    interactive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance(InstanceDefinition):
    """An instance that is to be made. `secret_contents` are its secrets, by their names, in base64; `secrets`
    has to be empty, because no file is read for a request."""

    secret_contents: dict[str, bytes] = field(default_factory=dict, repr=False)

    def definition(self) -> InstanceDefinition:
        """What it is to be, with the names of its secrets alone. Raises UsageError."""
        if self.secrets:
            raise UsageError(
                "secrets come as secret_contents here: a configuration alone may name their files"
            )
        check_secrets({name: len(content) for name, content in self.secret_contents.items()})
        values = {each.name: getattr(self, each.name) for each in fields(InstanceDefinition)}
        values["secrets"] = tuple(Secret(name=name) for name in self.secret_contents)
        return InstanceDefinition(**values)


class VolumeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A volume that is to be made; `size` in bytes, without one a usual one."""

    name: str
    size: Annotated[int, Meta(ge=1, le=2**50)] | None = None


class InstanceUse(Struct, frozen=True, kw_only=True):
    """What one instance uses at the moment."""

    id: InstanceId
    name: InstanceName
    tenant: TenantName
    state: InstanceState
    usage: Usage


class CallUse(Struct, frozen=True, kw_only=True):
    """Of one system call, since the instance's start; `refused` are those that the monitor did not make,
    `histogram[i]` those that took 2^i to 2^(i+1) ns, waiting included, up to the last that is not 0."""

    number: int
    name: str
    calls: int
    failed: int
    refused: int
    seconds: float
    histogram: tuple[int, ...] = ()


class CallRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allow or deny an instance a call from here on; null: as its policy says."""

    call: str
    action: CallAction | None


class Counted(Struct, frozen=True, kw_only=True):
    """What an instance's monitors counted; `peak_memory` is that of its largest process, in bytes. The engine
    `process` has none: then `notified_only` is true, `calls` has only those that its filter asked about, and
    what nobody counted is null."""

    start_seconds: float | None
    exits: int | None
    faults: int | None
    processes: int | None
    threads: int | None
    peak_memory: int | None
    calls: tuple[CallUse, ...]
    notified_only: bool = False


class StatsAnswer(InstanceUse, frozen=True, kw_only=True):
    """What one instance uses, and what its monitors counted in its present run, or in the last one that this
    daemon saw; None: there was none."""

    counted: Counted | None


class LogEntry(Struct, frozen=True, kw_only=True):
    """A line that the program wrote, to `stdout` or `stderr`, without its end; `partial`: it has none yet,
    the stream's next entry goes on with it. The text is the program's own: clean it before it is shown."""

    time: float
    stream: str
    text: str
    partial: bool = False


class LeftOut(Struct, frozen=True, kw_only=True):
    """How many entries a reader did not get: they were gone before it took them. None: nobody knows."""

    count: int | None


class FailureDetail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong: `kind` for programs, `message` for people."""

    kind: str
    message: str
    exit_status: int | None = None


class FailureBody(Struct, frozen=True, kw_only=True):
    """What every answer with a status of 400 or above holds."""

    error: FailureDetail


def use_of(status: InstanceStatus, usage: Usage) -> InstanceUse:
    """What an instance uses, with what names it."""
    return InstanceUse(id=status.id, name=status.name, tenant=status.tenant, state=status.state, usage=usage)


def stats_of(status: InstanceStatus, usage: Usage, statistics: InstanceStatistics | None) -> StatsAnswer:
    """The same with what its monitors counted."""
    return StatsAnswer(
        id=status.id,
        name=status.name,
        tenant=status.tenant,
        state=status.state,
        usage=usage,
        counted=_counted(statistics) if statistics else None,
    )


def _counted(statistics: InstanceStatistics) -> Counted:
    return Counted(
        start_seconds=statistics.start_seconds,
        exits=statistics.exits,
        faults=statistics.faults,
        processes=statistics.processes,
        threads=statistics.threads,
        peak_memory=statistics.peak_memory,
        calls=tuple(CallUse(**call._asdict()) for call in statistics.calls),
        notified_only=statistics.notified_only,
    )
