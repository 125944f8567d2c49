"""What happened, and who did what: the entries of the event journal and of the audit."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName

__all__ = ["AuditRecord", "Event", "EventKind", "EventPage"]


class EventKind(Enum):
    """What an event tells; the first group is about one instance, the second about the host."""

    CREATED = "created"
    STARTING = "starting"
    STARTED = "started"
    ADOPTED = "adopted"  # found running by a new daemon
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    EXITED = "exited"
    FAILED = "failed"
    STOPPING = "stopping"
    PAUSED = "paused"
    RESUMED = "resumed"
    RESTARTING = "restarting"
    CRASH_LOOP = "crash-loop"
    REMOVED = "removed"
    NOTICE = "notice"
    POLICY = "policy"  # it has changed while the instance runs, or needs a restart for that
    LOGGED = "logged"  # calls that rules told of, refused or answered with the end of their process
    DENIED = "denied"
    KILLED = "killed"
    QUESTION = "question"  # a call waits for an answer
    ANSWERED = "answered"

    RELOADED = "reloaded"
    PLUGIN = "plugin"
    DAEMON_STARTED = "daemon-started"
    DAEMON_STOPPED = "daemon-stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry; `time` in seconds since 1970, `text` one line for people, `data` the same for programs.

    `seq` grows by one from event to event and is given by the journal; 0: not in the journal yet. An event
    without a tenant is the host's, for operators alone.
    """

    time: float
    kind: EventKind
    text: str = ""
    tenant: TenantName | None = None
    instance: InstanceId | None = None
    name: InstanceName | None = None
    data: dict[str, str] = field(default_factory=dict)
    seq: int = 0


class EventPage(NamedTuple):
    """Part of the journal; `last` is the sequence number up to which it was looked at, from which the next
    page goes on: more than the last event's where others were left out."""

    events: tuple[Event, ...]
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Who asked for what; `time` in seconds since 1970, `uid` and `user` by the socket's credentials.

    `action` is the operation's name, `target` what it was for, `outcome` "ok" or the error's one line;
    `instance` is the one that it was about, None where it was not about one, or there was none.
    """

    time: float
    uid: int
    user: str
    action: str
    target: str
    outcome: str
    instance: InstanceId | None = None
