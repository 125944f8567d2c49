"""What policies decided while instances ran, what they had asked about, and the answers."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName

__all__ = [
    "Answer",
    "Call",
    "Decision",
    "DecisionKind",
    "Question",
    "QuestionId",
    "RememberedAnswer",
    "RuleRef",
    "Scope",
]

# One of this host's questions; never used twice, by later daemons neither.
QuestionId = NewType("QuestionId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRef:
    """A rule: the layer that it came from ("host", "tenant acme", "plugin seal"), the policy, and the rule in
    the words of `kwhost policy show`."""

    layer: str
    policy: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A system call that a rule spoke about: its name or number, its arguments as the program passed them,
    the path or address that was judged ("" without), and the process, by its id in the instance."""

    name: str
    arguments: tuple[int, ...]
    object: str
    pid: int


class DecisionKind(Enum):
    """What became of a call."""

    LOGGED = "logged"
    DENIED = "denied"
    KILLED = "killed"
    ALLOWED = "allowed"  # by an answer
    REFUSED = "refused"  # by an answer, or for want of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One call that was not plainly permitted. `time` in seconds since 1970; `error` is the errno's name, ""
    where the call was not refused; `by` tells who answered a question ("operator root", "plugin approve",
    "nobody" after the time-out). `lost`: decisions before this one that were too many to be told."""

    time: float
    kind: DecisionKind
    tenant: TenantName
    instance: InstanceId
    name: InstanceName
    call: Call
    rule: RuleRef | None
    error: str = ""
    by: str = ""
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call that waits for an answer, until `deadline` (seconds since 1970), when it is refused."""

    id: QuestionId
    time: float
    deadline: float
    tenant: TenantName
    instance: InstanceId
    name: InstanceName
    call: Call
    rule: RuleRef


class Scope(Enum):
    """For how long an answer holds, for the same rule, call and path or address; what a file was opened for
    is the same too. Of a call without path or address the numbers among the arguments are the same; what
    lies in memory is not known."""

    ONCE = "once"
    INSTANCE = "instance"  # until this run of the instance ends
    FOREVER = "forever"  # for every run of the instance of this tenant with this name


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether the call may come to pass."""

    allow: bool
    scope: Scope = Scope.ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedAnswer:
    """An answer that is given again when the same is asked, without asking anybody: about the same rule, call
    and `object`. `arguments` of a call that opens the object are the flags that say what for; without an
    object they are the numbers among all arguments (0 for addresses).

    It is for the instances of a tenant with a name, or with `instance` for the present run of that one.
    `number` is given by the store; `by` who answered, `time` when (seconds since 1970).
    """

    tenant: TenantName
    name: InstanceName
    rule: RuleRef
    call: str
    object: str
    arguments: tuple[int, ...]
    allow: bool
    by: str
    time: float
    instance: InstanceId | None = None
    number: int = 0
