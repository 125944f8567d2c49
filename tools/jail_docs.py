"""Makes docs/jail.md from the tables of the seccomp filters; with --check tells whether it is up to date.

Needs the package, for the ceilings of the profiles and for the resolver's calls.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pages import ROOT, write_or_check
from program_filter_docs import chapter

from kwhost.core.policy.ceiling import ceiling_calls
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer
from kwhost.net.resolver.calls import ALLOWED, DEADLY

MONITOR = ROOT / "kwhost/monitor"
FORWARD = ROOT / "kwhost/net/forward/filter.def"
PAGE = ROOT / "docs/jail.md"
ROLES = ("MONITOR", "INIT", "SUPERVISE", "HOSTED", "JOINER", "BROKER", "KEEPER")
# A row of the calls' table whose handler makes the very call on the host (filter_rules.c, passes_on).
PASSED = re.compile(
    r"^CALL\(\d+, (\w+), (?:FORWARDED|BROKERED), "
    r"(?:call_forward|call_brokered|socket_forward|address_forward|descriptor_forward|descriptor_change|set_identity),",
    re.MULTILINE,
)
BARE_ROW = re.compile(r'^([A-Z_]+)\((\w+), (.*)"(.*)"(?:, (.*))?\)$')
ROW = re.compile(rf'^({"|".join(ROLES)})(?:_FOR)?\((\w+), "(.*?)"(?:, (.*))?\)$')
GROUP = re.compile(r"^#define (\w+)((?: |\\\n|[\w,])*)$", re.MULTILINE)
PROFILES = ("strict", "web", "default")
LIMIT = re.compile(r'^LIMIT\((\w+), (\w+), .*, "(.*)"\)$')
SERVED = re.compile(r'^ALLOW(?:_IF)?\((\w+), (\w+), (?:\d, .*?, .*?, )?"(.*?)"(?:, "(.*)")?\)$', re.MULTILINE)
NEVER = re.compile(r"^NEVER\((\w+)\)$", re.MULTILINE)
TITLE = re.compile(r"^/\* (.*?)\.? \*/$")
HEAD = """# The jail's seccomp filters

Made by `tools/jail_docs.py` from `kwhost/monitor/jail/filter.def` and `kwhost/monitor/calls/table.def`,
for programs without a monitor from `kwhost/monitor/jail/program_filter.def`, and for what serves networks
from `kwhost/net/resolver/calls.py` and `kwhost/net/forward/filter.def`; change those files. Tests try
every call number behind each filter, and that no rule of the jail's is without a user.

Each process of an instance has a filter that lets it make the host calls below, and no other. A program
makes no host calls: this is what its monitor can still do when the program has taken it over. Filters are set
on the way into the jail, are inherited by all that is made and executed from there, and cannot be taken off.

| role | host calls | |
|---|---:|---|
| monitor | {minimum} to {monitor} | {minimum} are for the monitor itself, whatever the policy; each of the \
others is open only where the policy's ceiling has a call of the program's that it is for |
| init | {init} | the reaper of `--init` |
| supervise | {supervise} | of an instance in the foreground, once the instance was made |
| supervise, hosted | {hosted} | likewise of a hosted instance |
| joiner | {least_joiner} to {joiner} | of a hosted instance: makes the processes that join it. Their \
monitors inherit this filter and set their own upon it, so it has the monitor's of the same ceiling too |
| broker | {broker} | of an instance without monitors (the engine process), and its workers: answers what \
the filters of programs hand over, and makes calls for them |
| keeper | {keeper} | of a program that runs [without namespaces](#programs-without-namespaces): ends \
what it leaves behind |
| resolver | {resolver} | not of an instance: reads what all of them ask for ([networks.md](networks.md)) |
| forwarder | {forwarder} | not of an instance: accepts calls at published ports, and starts the relays, \
which inherit its filter |
| relay | {relay} | of an instance with published ports on loopback addresses, in its network namespace |

A monitor under the built-in profiles (a ceiling counts what the profile permits and, unless it says
`ceiling = "policy"`, what `default` does):

| profile | host calls | of the program's permitted |
|---|---:|---:|
{profiles}

What is not allowed fails with EPERM, for it could be a mistake of ours in a rare place. What no process of
kwhost ever does ends the process, and so do calls by the numbers of 32-bit and x32 programs. (The kernel
itself lets `uretprobe` and `uprobe` pass through all filters; they do nothing but at its own breakpoints.)

The filter of a monitor also holds three promises that are not about single calls:

- **Nothing becomes executable.** No memory is mapped executable. The monitor's own image lies below 4 GiB,
  where nothing can be mapped, unmapped or protected. The only program that can be executed is the sealed
  monitor: its descriptor can be neither closed nor replaced, and its path is in that image.
- **No namespaces**, mounts, tracing, modules, BPF, io_uring or keys.
- **Of KVM exactly what the monitor uses**: no devices, no interrupt controllers, no dirty logs.

Landlock rules (`kwhost/monitor/jail/landlock.c`), where the kernel has them, let monitors change files
beneath the instance's root alone, and in the file system of what they hand out for `/proc`: the procfs that
they hold is for reading. Devices can be controlled beneath `/dev` alone, and no file of a file system can be
executed. Where a layer's ceiling grants less than everything on files, rules of its own
(`kwhost/monitor/jail/grants.c`) let monitors open only what it grants, and their own: `/proc`, standard
input, output and error, message queues. They are a second wall behind the policy, which decides on each path:

- Landlock adds up along a path: a rule that takes something away beneath a granted directory (`/etc/shadow`
  beneath `/`) is the policy's alone.
- A wildcard grants the directory before it with all that is beneath.
- A file that may be written is granted with its directory, since it may be made anew there; devices, pipes
  and sockets are granted alone.
- For a path that is missing when the instance starts, or leads through a symbolic link, the nearest directory
  above it is granted: the program may make the rest.
- A file that may be read alone is granted as it is at the start: one that takes its place cannot be opened.
- A granted directory itself can be neither moved nor removed, and a file not moved to where more is granted.
"""
BARE = """
## Programs without namespaces

Where a host refuses namespaces, as plain containers do, the engine `process` goes on with what remains
(`kwhost inspect` and `kwhost doctor` tell of it). Such a program has a second filter, made from
`kwhost/monitor/jail/bare_filter.def`: what namespaces would keep from the host, and what Landlock does not
look at, fails with these errors.

| call | error | unless | why |
|---|---|---|---|
{all}
A program that an ordinary user starts has that user's own id, and with it power over the user's other
processes and files. Therefore these fail too:

| call | error | unless | why |
|---|---|---|---|
{shared}
Landlock rules (`kwhost/monitor/jail/bare_rules.c`) let it open what the image `host` has of this machine, or
what lies in its root directory, and change files in one directory of its own alone, which goes with it; it
binds and connects no TCP port, and as an ordinary user's it signals nobody outside.
"""
FORWARDERS_FILES = """Landlock rules let it, and its relays, execute its own program and remove files in the
run directory (its socket and its lock), and nothing else; no port can be bound, no other process signalled.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A call that a role may make."""

    role: str
    name: str
    who: str
    group: str
    callers: tuple[str, ...] = ()  # of MONITOR_FOR: lists of needs.h, or calls of the program's


def read_rules(text: str) -> list[Rule]:
    """The rows of filter.def, each with the title above it."""
    rules, group = [], ""
    for line in text.splitlines():
        if title := TITLE.match(line):
            group = title[1]
        elif row := ROW.match(line):
            callers = tuple(name.removeprefix("NR_") for name in (row[4] or "").split(", ") if name)
            rules.append(Rule(role=row[1], name=row[2], who=row[3], group=group, callers=callers))
    return rules


def read_limits(text: str, kvm_requests: str) -> dict[tuple[str, str], list[str]]:
    """What the limits mean, by role and call."""
    limits: dict[tuple[str, str], list[str]] = {}
    for line in text.splitlines():
        if row := LIMIT.match(line):
            meanings = limits.setdefault((row[1], row[2]), [])
            if row[3]:
                meanings.append(row[3].replace("{KVM_REQUESTS}", kvm_requests))
    return limits


def read_groups(text: str) -> dict[str, list[str]]:
    """The lists of the program's calls in needs.h."""
    return {name: re.findall(r"NR_(\w+)", body) for name, body in GROUP.findall(text) if "NR_" in body}


def open_to_monitor(
    rules: list[Rule], passed: list[str], groups: dict[str, list[str]], ceiling: frozenset[str]
) -> set[str]:
    """The host calls of a monitor under a ceiling."""
    return {
        *(rule.name for rule in rules if rule.role == "MONITOR" and not rule.callers),
        *ceiling.intersection(passed),
        *(
            rule.name
            for rule in rules
            if any(ceiling.intersection(groups.get(caller, [caller])) for caller in rule.callers)
        ),
    }


def read_kvm_requests(source: str) -> str:
    """The requests in the order of filter_rules.c."""
    found = re.search(r"#define KVM_REQUESTS((?:.*\\\n)*.*)\n", source)
    assert found
    return ", ".join(f"`{name}`" for name in re.findall(r"KVM_\w+", found[1]))


def table(rules: list[Rule], limits: dict[tuple[str, str], list[str]]) -> str:
    """The rules' calls, who needs them, and on which conditions."""
    asked = any(rule.callers for rule in rules)
    rows = "".join(
        f"| {rule.name} | {rule.who} | "
        + (f"{', '.join(rule.callers)} | " if asked else "")
        + f"{'; '.join(limits.get((rule.role, rule.name), ()))} |\n"
        for rule in rules
    )
    columns = ("call", "what for", "for the program's", "only") if asked else ("call", "who needs it", "only")
    return f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n{rows}"


def profiles(rules: list[Rule], passed: list[str], groups: dict[str, list[str]]) -> str:
    """A row for each built-in policy."""
    ceilings = {name: ceiling_calls([Layer(name, built_in().find(name))]) for name in PROFILES}
    return "\n".join(
        f"| {name} | {len(open_to_monitor(rules, passed, groups, calls))} | {len(calls)} |"
        for name, calls in ceilings.items()
    )


def bare_unless(kind: str, given: str, values: str | None) -> str:
    """The condition of a row of bare_filter.def on which the call goes on."""
    numbers = [int(number) for number in re.findall(r"\b\d\b", given)]
    match kind:
        case "ONLY":
            return f"argument {numbers[0]} is {values}"
        case "NONE_OF":
            return f"argument {numbers[0]} is not {values}"
        case "ONLY_NULL":
            return f"argument {numbers[0]} is NULL"
        case "ONLY_NULL_IF":
            return f"argument {numbers[0]} is not {given.split(', ')[1]}, or argument {numbers[1]} is NULL"
    return ""


def bare() -> str:
    """The chapter of programs without namespaces."""
    of_all, of_shared = (MONITOR / "jail/bare_filter.def").read_text().split("\nSHARED\n")

    def rows(text: str) -> str:
        found = (BARE_ROW.match(line) for line in text.splitlines())
        cells = (
            (row[2], re.findall(r"E[A-Z]+", row[3])[0], bare_unless(row[1], row[3], row[5]), row[4])
            for row in found
            if row
        )
        return "".join(f"| {' | '.join(row)} |\n" for row in cells)

    return BARE.format(all=rows(of_all), shared=rows(of_shared))


def passed_on(passed: list[str], limits: dict[tuple[str, str], list[str]]) -> str:
    """The calls that go on as they are, with the conditions that some have."""
    names = (
        f"{name} ({'; '.join(limits['MONITOR', name])})" if ("MONITOR", name) in limits else name
        for name in passed
    )
    return f"\n{', '.join(names)}.\n"


def head(rules: list[Rule], passed: list[str], groups: dict[str, list[str]]) -> str:
    """The counts, and what they mean."""
    names = {role: {rule.name for rule in rules if rule.role == role} for role in ROLES}
    minimum = open_to_monitor(rules, passed, groups, frozenset())
    return HEAD.format(
        minimum=len(minimum),
        monitor=len(names["MONITOR"] | set(passed)),
        init=len(names["INIT"]),
        keeper=len(names["KEEPER"]),
        supervise=len(names["SUPERVISE"]),
        hosted=len(names["HOSTED"] | names["SUPERVISE"]),
        least_joiner=len(names["JOINER"] | minimum),
        joiner=len(names["JOINER"] | names["MONITOR"] | set(passed)),
        broker=len(names["BROKER"]),
        resolver=len({row.name for row in ALLOWED}),
        forwarder=len({name for _, name, *_ in forwarding()}),
        relay=len({name for role, name, *_ in forwarding() if role == "RELAY"}),
        profiles=profiles(rules, passed, groups),
    )


def forwarding() -> list[tuple[str, str, str, str]]:
    """Role, call, who needs it, and on which condition: of the forwarder and its relays."""
    return SERVED.findall(FORWARD.read_text())


def served(rows: Iterable[Sequence[str]]) -> str:
    """Calls, who needs them, and on which conditions."""
    return "\n| call | what for | only |\n|---|---|---|\n" + "".join(
        f"| {name} | {need} | {only} |\n" for name, need, only in rows
    )


def services() -> Iterator[str]:
    """The processes that serve networks."""
    yield f"\n## Resolver\n{served((row.name, row.need, row.only) for row in ALLOWED)}"
    yield "\nAll else fails with EPERM, `clone3` with ENOSYS, and these end it: "
    yield f"{', '.join(DEADLY)}. Landlock rules\nlet it read the directories of `/etc/resolv.conf` alone.\n"
    of = {role: [row[1:] for row in forwarding() if row[0] == role] for role in ("SERVER", "START", "RELAY")}
    yield f"\n## Forwarder of published ports\n{served(of['SERVER'])}"
    yield "\nAll else fails with EPERM, but for what relays may call, and these end it: "
    yield f"{', '.join(NEVER.findall(FORWARD.read_text()))}.\n{FORWARDERS_FILES}"
    yield f"\n## Start of a relay\n{served(of['START'])}"
    yield "\nThese are open to the forwarder too: a relay has the forwarder's filter until it has its own.\n"
    yield f"\n## Relay of published ports\n{served(of['RELAY'])}\nAll else ends it.\n"


def page() -> str:
    """The whole document."""
    text = (MONITOR / "jail/filter.def").read_text()
    groups = read_groups((MONITOR / "jail/needs.h").read_text())
    rules = read_rules(text)
    limits = read_limits(text, read_kvm_requests((MONITOR / "jail/filter_rules.c").read_text()))
    passed = sorted(PASSED.findall((MONITOR / "calls/table.def").read_text()))
    of = {role: [rule for rule in rules if rule.role == role] for role in ROLES}
    parts = [head(rules, passed, groups)]
    for title in dict.fromkeys(rule.group for rule in of["MONITOR"]):
        members = [rule for rule in of["MONITOR"] if rule.group == title]
        parts += [f"\n## Monitor: {title[0].lower()}{title[1:]}\n", table(members, limits)]
    parts += ["\nLists of the program's calls that stand above in capitals:\n\n"]
    parts += [f"- {name}: {', '.join(calls)}.\n" for name, calls in groups.items()]
    parts += ["\n## Monitor: the program's calls that are passed on, each where the ceiling has it\n"]
    parts += [passed_on(passed, limits)]
    parts += ["\n## Init\n", table(of["INIT"], limits), "\n## Supervise\n", table(of["SUPERVISE"], limits)]
    parts += ["\n## Supervise of a hosted instance, besides\n", table(of["HOSTED"], limits)]
    parts += ["\n## Joiner, besides those of the monitor\n", table(of["JOINER"], limits)]
    parts += ["\n## Broker\n", table(of["BROKER"], limits)]
    parts += ["\n## Keeper\n", table(of["KEEPER"], limits)]
    parts += [
        "\n## What ends the process\n",
        f"\n{', '.join(NEVER.findall(text))}.\n",
        chapter(),
        bare(),
        *services(),
    ]
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page()))
