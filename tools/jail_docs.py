"""Makes docs/jail.md from the tables of the seccomp filters; with --check tells whether it is up to date."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MONITOR = ROOT / "kwhost/monitor"
PAGE = ROOT / "docs/jail.md"
ROLES = ("MONITOR", "INIT", "SUPERVISE", "HOSTED")
# A row of the calls' table whose handler makes the very call on the host (filter.c, passes_on).
PASSED = re.compile(
    r"^CALL\(\d+, (\w+), (?:FORWARDED|BROKERED), "
    r"(?:call_forward|call_brokered|socket_forward|address_forward|descriptor_forward|descriptor_change|set_identity),",
    re.MULTILINE,
)
ROW = re.compile(rf'^({"|".join(ROLES)})\((\w+), "(.*)"\)$')
LIMIT = re.compile(r'^LIMIT\((\w+), (\w+), .*, "(.*)"\)$')
NEVER = re.compile(r"^NEVER\((\w+)\)$", re.MULTILINE)
TITLE = re.compile(r"^/\* (.*?)\.? \*/$")
HEAD = """# The jail's seccomp filters

Made by `tools/jail_docs.py` from `kwhost/monitor/jail/filter.def` and `kwhost/monitor/calls/table.def`;
change those files. Tests try every call number behind each filter, and that no rule is without a user.

Each process of an instance has a filter that lets it make the host calls below, and no other. A program
makes no host calls: this is what its monitor can still do when the program has taken it over. Filters are set
on the way into the jail, are inherited by all that is made and executed from there, and cannot be taken off.

| role | host calls | |
|---|---:|---|
| monitor | {monitor} | {passed} of the program's are passed on, {handled} more after a look at their \
arguments; {served} are for calls that the monitor answers, {own} for itself |
| init | {init} | the reaper of `--init` |
| supervise | {supervise} | of an instance in the foreground, once the instance was made |
| supervise, hosted | {hosted} | programs may join the instance: their monitors inherit this filter and set \
their own upon it |

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
executed.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A call that a role may make."""

    role: str
    name: str
    who: str
    group: str


def read_rules(text: str) -> list[Rule]:
    """The rows of filter.def, each with the title above it."""
    rules, group = [], ""
    for line in text.splitlines():
        if title := TITLE.match(line):
            group = title[1]
        elif row := ROW.match(line):
            rules.append(Rule(role=row[1], name=row[2], who=row[3], group=group))
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


def read_kvm_requests(source: str) -> str:
    """The requests in the order of filter.c."""
    found = re.search(r"#define KVM_REQUESTS((?:.*\\\n)*.*)\n", source)
    assert found
    return ", ".join(f"`{name}`" for name in re.findall(r"KVM_\w+", found[1]))


def table(rules: list[Rule], limits: dict[tuple[str, str], list[str]]) -> str:
    """The rules' calls, who needs them, and on which conditions."""
    rows = "".join(
        f"| {rule.name} | {rule.who} | {'; '.join(limits.get((rule.role, rule.name), ()))} |\n"
        for rule in rules
    )
    return f"\n| call | who needs it | only |\n|---|---|---|\n{rows}"


def passed_on(passed: list[str], limits: dict[tuple[str, str], list[str]]) -> str:
    """The calls that go on as they are, with the conditions that some have."""
    names = (
        f"{name} ({'; '.join(limits['MONITOR', name])})" if ("MONITOR", name) in limits else name
        for name in passed
    )
    return f"\n{', '.join(names)}.\n"


def page() -> str:
    """The whole document."""
    text = (MONITOR / "jail/filter.def").read_text()
    rules = read_rules(text)
    limits = read_limits(text, read_kvm_requests((MONITOR / "jail/filter.c").read_text()))
    passed = sorted(PASSED.findall((MONITOR / "calls/table.def").read_text()))
    of = {role: [rule for rule in rules if rule.role == role] for role in ROLES}
    groups = list(dict.fromkeys(rule.group for rule in of["MONITOR"]))
    members = {group: [rule for rule in of["MONITOR"] if rule.group == group] for group in groups}
    names = {role: {rule.name for rule in of[role]} for role in ROLES}
    handled, served, own = (len(members[group]) for group in groups)
    parts = [
        HEAD.format(
            monitor=len(names["MONITOR"] | set(passed)),
            passed=len(passed),
            handled=handled,
            served=served,
            own=own,
            init=len(names["INIT"]),
            supervise=len(names["SUPERVISE"]),
            hosted=len(names["HOSTED"] | names["SUPERVISE"] | names["MONITOR"] | set(passed)),
        ),
        "\n## Monitor: the program's calls that are passed on\n",
        passed_on(passed, limits),
    ]
    for group in groups:
        parts += [f"\n## Monitor: {group[0].lower()}{group[1:]}\n", table(members[group], limits)]
    parts += ["\n## Init\n", table(of["INIT"], limits), "\n## Supervise\n", table(of["SUPERVISE"], limits)]
    parts += ["\n## Supervise of a hosted instance, besides those of supervise and monitor\n"]
    parts += [table(of["HOSTED"], limits)]
    parts += ["\n## What ends the process\n", f"\n{', '.join(NEVER.findall(text))}.\n"]
    return "".join(parts)


def main() -> int:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE.relative_to(ROOT)} is out of date: run tools/jail_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
