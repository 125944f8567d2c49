"""The description of `[policies.NAME]`, and of a policy file, which is one such table.

Names of calls, sets, constants and errors are for core.policy to know: here they are texts, read together
with the place where mistakes in them are reported.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from kwhost.core.config.kinds import Choice, Kind, ListOf, Text, refuse
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Key, Named, Table
from kwhost.core.config.values import duration
from kwhost.core.model.policy import Ceiling, policy_name

__all__ = ["INSTANCE_POLICY", "POLICIES", "POLICY", "TENANT_POLICY", "Placed"]


class Placed(NamedTuple):
    """A value and where it stands."""

    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class _WithPlace:
    """What `kind` reads, as a Placed."""

    kind: Kind

    @property
    def words(self) -> str:
        """See Kind."""
        return self.kind.words

    def read(self, value: object, place: Place) -> Placed | None:
        """See Kind."""
        found = self.kind.read(value, place)
        return None if found is None else Placed(found, place)


@dataclass(frozen=True, slots=True)
class _NumberOrText:
    """A whole number, or a text that stands for one."""

    words: str

    def read(self, value: object, place: Place) -> int | str | None:
        """See Kind."""
        if isinstance(value, str | int) and not isinstance(value, bool):
            return value
        refuse(self, value, place)
        return None


@dataclass(frozen=True, slots=True)
class _NotEmpty:
    """A list with something in it."""

    kind: ListOf

    @property
    def words(self) -> str:
        """See Kind."""
        return self.kind.words

    def read(self, value: object, place: Place) -> tuple[Any, ...] | None:
        """See Kind."""
        if value == []:
            place.report("must name at least one value")
            return None
        return self.kind.read(value, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByName:
    """A table with names that core.policy knows, and the same kind of value for each: Placed by name."""

    words: str
    item: Kind

    def read(self, value: object, place: Place) -> dict[str, Placed] | None:
        """See Kind."""
        if not isinstance(value, dict):
            refuse(self, value, place)
            return None
        items = {name: _WithPlace(self.item).read(entry, place.below(name)) for name, entry in value.items()}
        return {name: item for name, item in items.items() if item is not None}


_POLICY_NAME = Text("the name of a policy", policy_name)
_ACTION = _WithPlace(Text("an action: allow, log, ask, deny, errno:NAME or kill"))
_CALL = _WithPlace(Text("a call such as mkdir, or a set such as @network-io"))
_CALLS = ListOf(words='a list such as ["@network-io", "mkdir"]', element=_CALL)
_NUMBERS = _NotEmpty(
    ListOf(
        words='a list such as ["TCGETS", 5]',
        element=_WithPlace(_NumberOrText("a whole number, or a text such as AF_INET")),
    )
)
_PORTS = ListOf(
    words='a list such as [443, "8000-8080"]',
    element=_WithPlace(_NumberOrText('a port, or a text such as "8000-8080"')),
)

_ARGUMENT_RULE = Table(
    meaning="A rule on a call with these arguments.",
    words='a table such as { call = "ioctl", args = { 1 = ["TCGETS"] }, action = "allow" }',
    keys=(
        Key(name="call", kind=_CALL, required=True, meaning="the call", example='"ioctl"'),
        Key(
            name="args",
            kind=_ByName(words='a table such as { 1 = ["TCGETS"] }', item=_NUMBERS),
            meaning="by number, from 0, what each of these arguments may be",
            example='{ 1 = ["TCGETS"] }',
        ),
        Key(name="action", kind=_ACTION, required=True, meaning="what becomes of it", example='"allow"'),
    ),
)

_SYSCALLS = Table(
    meaning="Rules on calls: by name or set (@...), and with their arguments.",
    keys=(
        Key(
            name="allow",
            kind=_CALLS,
            default="[]",
            meaning="calls that are made",
            example='["@network-io", "mkdir"]',
        ),
        Key(
            name="log",
            kind=_CALLS,
            default="[]",
            meaning="calls that are made and told",
            example='["execve"]',
        ),
        Key(
            name="ask",
            kind=_CALLS,
            default="[]",
            meaning="calls that a plugin or the operator decides on; without an answer they are refused",
            example='["connect"]',
        ),
        Key(
            name="deny",
            kind=_CALLS,
            default="[]",
            meaning="calls that fail with EPERM",
            example='["@keyring"]',
        ),
        Key(
            name="kill",
            kind=_CALLS,
            default="[]",
            meaning="calls that end the process that makes them",
            example='["ptrace"]',
        ),
        Key(
            name="rules",
            kind=ListOf(words="a list of tables", element=_WithPlace(_ARGUMENT_RULE)),
            default="[]",
            meaning="rules on one call with what some of its arguments are",
            example='[{ call = "ioctl", args = { 1 = ["TCGETS"] }, action = "allow" }]',
        ),
    ),
)

_FILE_RULE = Table(
    meaning="What is granted on paths.",
    words='a table such as { path = "/srv/**", access = "rw" }',
    keys=(
        Key(
            name="path",
            kind=_WithPlace(Text("a path such as /srv/**")),
            required=True,
            meaning="absolute; * any text in a name, ? one byte, ** any names",
            example='"/srv/**"',
        ),
        Key(
            name="access",
            kind=_WithPlace(Text("any of r, w and x")),
            required=True,
            meaning="any of r, w and x; nothing else is granted",
            example='"rw"',
        ),
    ),
)

_NETWORK_RULE = Table(
    meaning="A rule on addresses: exactly one of to and listen.",
    words='a table such as { to = "10.0.0.0/8", ports = [443], action = "allow" }',
    keys=(
        Key(
            name="to",
            kind=_WithPlace(Text("an address such as 10.0.0.0/8")),
            meaning="addresses that are called or sent to; any: all",
            example='"10.0.0.0/8"',
        ),
        Key(name="listen", kind=_PORTS, meaning="own ports; none: all", example="[8080]"),
        Key(name="ports", kind=_PORTS, meaning="ports there; without them, all", example="[443]"),
        Key(
            name="protocol",
            kind=_WithPlace(Text('"tcp" or "udp"')),
            meaning="tcp or udp; without it, both",
            example='"tcp"',
        ),
        Key(name="action", kind=_ACTION, required=True, meaning="what becomes of it", example='"allow"'),
    ),
)

POLICY = Table(
    meaning="A system call policy: of the rules that fit, the most specific decides.",
    keys=(
        Key(
            name="base",
            kind=_WithPlace(_POLICY_NAME),
            meaning="a policy whose rules hold too, unless one here that is as specific overrides them",
            example='"default"',
        ),
        Key(
            name="default",
            kind=_ACTION,
            meaning='what no rule decides; without it the base\'s, without a base "errno:EPERM"',
            example='"errno:EPERM"',
        ),
        Key(
            name="ceiling",
            kind=Choice(Ceiling),
            meaning="how far it may be widened while an instance runs: to the policy default and itself, or "
            'not at all; without it the base\'s, without a base "default"',
            example='"default"',
        ),
        Key(
            name="ask_timeout",
            kind=duration("1s", "1h"),
            meaning="how long a call waits for an answer, where a rule asks; then it is refused; of several "
            'policies with such rules the shortest counts; without it the base\'s, without a base "30s"',
            example='"30s"',
        ),
        Key(
            name="syscalls",
            kind=_SYSCALLS,
            meaning="rules on calls",
            example='{ allow = ["@network-io"], deny = ["mkdir"] }',
        ),
        Key(
            name="files",
            kind=ListOf(words="a list of tables", element=_WithPlace(_FILE_RULE)),
            meaning="what may be done with which files; without any, all that the calls' rules allow",
            example='[{ path = "/srv/**", access = "rw" }, { path = "/etc/shadow", access = "" }]',
        ),
        Key(
            name="network",
            kind=ListOf(words="a list of tables", element=_WithPlace(_NETWORK_RULE)),
            meaning="which addresses may be reached and which ports listened on; without any, all",
            example='[{ to = "10.0.0.0/8", ports = [443], protocol = "tcp", action = "allow" }]',
        ),
        Key(
            name="limits",
            kind=_ByName(words='a table such as { fork = "50/s" }', item=Text("a rate such as 50/s")),
            meaning="how often calls or sets may be made; fork: all calls that make processes and threads",
            example='{ fork = "50/s" }',
        ),
    ),
)

POLICIES = Key(
    name="policies",
    kind=Named(item=POLICY, check_name=policy_name),
    meaning="system call policies, each a table of its own",
    example='{ web = { base = "default" } }',
)
TENANT_POLICY = Key(
    name="policy",
    kind=_POLICY_NAME,
    meaning="a policy that holds for all of its instances, besides their own: the stricter one decides",
    example='"default"',
)
INSTANCE_POLICY = Key(
    name="policy",
    kind=_POLICY_NAME,
    default='"default"',
    meaning="the system call policy: one of [policies], or default, strict or web",
    example='"web"',
)
