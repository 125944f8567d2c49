"""What a policy is made of, when all in it is known to be right."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import NamedTuple

from kwhost.core.model.policy import Ceiling
from kwhost.core.policy.destinations import Destination
from kwhost.core.policy.patterns import PathPattern

__all__ = [
    "ALLOW",
    "ASK_TIMEOUT",
    "DENY",
    "NO_ACCESS",
    "Access",
    "Action",
    "CallRule",
    "Comparison",
    "Condition",
    "DefaultRule",
    "FileRule",
    "Layer",
    "NetworkRule",
    "Origin",
    "Policy",
    "RateLimit",
    "Rule",
    "Verdict",
]


class Action(Enum):
    """What becomes of a call; the values are the words of the language."""

    ALLOW = "allow"
    LOG = "log"
    ASK = "ask"
    ERRNO = "errno"
    KILL = "kill"


_STRICTNESS = {action: rank for rank, action in enumerate(Action)}


class Verdict(NamedTuple):
    """An action, and the error number of ERRNO (0 with the others)."""

    action: Action
    errno: int = 0

    @property
    def strictness(self) -> int:
        """Grows from allow to kill; all error numbers are as strict as each other."""
        return _STRICTNESS[self.action]

    @property
    def permits(self) -> bool:
        """The call may come to pass, at once or after an answer."""
        return self.action in (Action.ALLOW, Action.LOG, Action.ASK)

    def __str__(self) -> str:
        if self.action is Action.ERRNO:
            return f"errno:{errno.errorcode.get(self.errno, self.errno)}"
        return str(self.action.value)


# Seconds, where a policy says nothing.
ASK_TIMEOUT = 30.0
ALLOW = Verdict(Action.ALLOW)
DENY = Verdict(Action.ERRNO, errno.EPERM)
_NO_SUCH_CALL = Verdict(Action.ERRNO, errno.ENOSYS)
# To a file beyond the access that its rule grants.
NO_ACCESS = Verdict(Action.ERRNO, errno.EACCES)


class Access(Flag):
    """What a call does with the object that a path leads to."""

    NONE = 0
    READ = auto()
    WRITE = auto()
    EXECUTE = auto()

    def __str__(self) -> str:
        pairs = ((Access.READ, "r"), (Access.WRITE, "w"), (Access.EXECUTE, "x"))
        return "".join(letter for access, letter in pairs if access in self)


class Origin(NamedTuple):
    """Where a rule stands: the policy's name, FILE:LINE: KEY, and how many bases are below that policy."""

    policy: str
    where: str
    generation: int = 0


class Comparison(Enum):
    """How an argument relates to a value; numbers are unsigned."""

    EQUAL = "=="
    AT_LEAST = ">="
    AT_MOST = "<="


class Condition(NamedTuple):
    """Compares argument `argument` (from 0), of which only the bits in `mask` count; `text` as written."""

    argument: int
    comparison: Comparison
    mask: int
    value: int
    text: str

    def holds(self, arguments: Sequence[int]) -> bool:
        """Whether it is so; arguments that are not given are 0."""
        given = arguments[self.argument] if self.argument < len(arguments) else 0
        found = given & self.mask
        match self.comparison:
            case Comparison.EQUAL:
                return found == self.value
            case Comparison.AT_LEAST:
                return found >= self.value
            case Comparison.AT_MOST:
                return found <= self.value

    def __str__(self) -> str:
        relation = "" if self.text.startswith(("&", ">", "<")) else "= "
        return f"{self.argument} {relation}{self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRule:
    """On a call or a set of calls, as `name` says; conditions only on a single call."""

    name: str
    calls: frozenset[str]
    conditions: tuple[Condition, ...] = ()
    verdict: Verdict
    origin: Origin

    @property
    def specificity(self) -> int:
        """A set, a call, a call with one argument, with two, ..."""
        return 0 if self.name.startswith("@") else 1 + len(self.conditions)

    @property
    def about(self) -> object:
        """What the rule is on; two of one policy that are on the same contradict or repeat each other."""
        return self.name, frozenset(condition[:4] for condition in self.conditions)

    @property
    def effect(self) -> object:
        """What it says of that."""
        return self.verdict

    def __str__(self) -> str:
        conditions = ", ".join(map(str, self.conditions))
        return f"{self.verdict} {self.name}" + (f" with {conditions}" if conditions else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """Grants `access`, and no other, to what a pattern matches."""

    pattern: PathPattern
    access: Access
    origin: Origin

    @property
    def about(self) -> object:
        """See CallRule."""
        return self.pattern

    @property
    def effect(self) -> object:
        """See CallRule."""
        return self.access

    def __str__(self) -> str:
        return f"{str(self.access) or 'no access'} {self.pattern}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRule:
    """On sending and connecting to addresses, or on listening on ports."""

    destination: Destination
    verdict: Verdict
    origin: Origin

    @property
    def about(self) -> object:
        """See CallRule."""
        return self.destination

    @property
    def effect(self) -> object:
        """See CallRule."""
        return self.verdict

    def __str__(self) -> str:
        return f"{self.verdict} {self.destination}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRule:
    """What no other rule decides."""

    verdict: Verdict
    origin: Origin

    @property
    def about(self) -> object:
        """See CallRule."""
        return "default"

    @property
    def on_objects(self) -> Verdict:
        """On a path or an address: there the call itself is permitted, so it is one that there is."""
        return DENY if self.verdict == _NO_SUCH_CALL else self.verdict

    def __str__(self) -> str:
        return f"default {self.verdict}"


Rule = CallRule | FileRule | NetworkRule | DefaultRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` of these calls in `period_ms` milliseconds, and as many at once; then EAGAIN."""

    name: str
    calls: frozenset[str]
    count: int
    period_ms: int
    origin: Origin

    @property
    def about(self) -> object:
        """See CallRule."""
        return "limit", self.name

    def __str__(self) -> str:
        return f"limit {self.name} {self.count} in {self.period_ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy with all that it inherits. Files and addresses are judged only where there are rules on them.

    `generations` is one more than the number of its bases, `ask_timeout` in seconds.
    """

    name: str
    default: DefaultRule
    ceiling: Ceiling = Ceiling.DEFAULT
    ask_timeout: float = ASK_TIMEOUT
    calls: tuple[CallRule, ...] = ()
    files: tuple[FileRule, ...] = ()
    network: tuple[NetworkRule, ...] = ()
    limits: tuple[RateLimit, ...] = ()
    generations: int = 1


class Layer(NamedTuple):
    """A policy in its place: `name` such as "host", "tenant acme" or "plugin seal"."""

    name: str
    policy: Policy
