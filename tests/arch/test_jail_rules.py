"""The rules of the seccomp filters and the code that needs them agree."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where each role's code is. A monitor is what runs behind its filter: not what prepares the jail.
CODE = {
    "MONITOR": (
        "base/*",
        "machine/*",
        "mm/*",
        "process/*",
        "calls/*",
        "procfs/*",
        "policy/*",
        "main.c",
        "jail/channel.c",
    ),
    "INIT": ("jail/init.c",),
    "SUPERVISE": (
        *("jail/supervise.c", "jail/control.c", "jail/relay.c", "jail/end.c", "jail/exits.c"),
        "jail/questions.c",
        *("jail/terminal.c", "jail/channel.c", "jail/clock.c"),
    ),
    "HOSTED": (
        *("jail/joined.c", "jail/hosted.c", "jail/resident.c", "jail/log*.c", "jail/streams.c"),
        *("jail/attachment.c", "jail/kernel.h"),
    ),
    "JOINER": (
        *("jail/joiner.c", "jail/join.c", "jail/network.c", "jail/entry.c", "jail/identity.c"),
        *("jail/filter.c", "jail/landlock.c", "jail/grants.c", "jail/paths.c", "jail/program.c"),
        *("jail/record.c", "jail/cgroup.c", "jail/descriptors.c", "jail/channel.c", "jail/kernel.h"),
    ),
    "BROKER": (
        *("broker/[!b]*.c", "policy/table.c", "policy/questions.c", "policy/learn.c", "base/clock.h"),
        *("calls/changes.c", "jail/landlock.c", "jail/program.c", "jail/channel.c", "jail/kernel.h"),
    ),
}
# Made by the kernel in a process's name, or by an instruction in assembly.
BY_THE_KERNEL = {"restart_syscall", "rt_sigreturn"}
# Made by the jail, in a file of procfs' own.
BEFORE_THE_FILTER = {"fsopen", "fsconfig", "fsmount"}
# Made in the service of the very same call alone, which is open where the ceiling has it.
FOR_ITSELF = {"statx", "bind", "connect"}
# Of what supervise's files do for the instance's first process, before there is a filter.
IN_THE_FIRST_PROCESS = {"sethostname", "setdomainname"}
# Of what a joiner of programs without monitors does, which has no filter.
WITHOUT_A_FILTER = {"pidfd_send_signal"}
# Of what hosted instances' files do at the start.
BEFORE_SUPERVISES_FILTER = {"dup3"}
# Of what the broker does before it is inside the instance.
BEFORE_THE_BROKERS_FILTER = {"dup3", "eventfd2", "seccomp", "setns"}
PASSING = re.compile(r"\b(call_forward|call_brokered|descriptor_forward|make_host_call)\(")


def code_of(project: Path, role: str) -> str:
    monitor = project / "kwhost/monitor"
    return "".join(
        path.read_text()
        for pattern in CODE[role]
        for path in monitor.glob(pattern)
        if path.suffix in (".c", ".h", ".S")
    )


def rules(project: Path, role: str) -> list[str]:
    return re.findall(
        rf"^{role}(?:_FOR)?\((\w+),", (project / "kwhost/monitor/jail/filter.def").read_text(), re.MULTILINE
    )


def passed_on(code: str, table: str) -> Iterator[str]:
    """The calls whose own handler makes the very call on the host in the end."""
    for name, handler in re.findall(r"^CALL\(\d+, (\w+), \w+, (\w+),", table, re.MULTILINE):
        body = re.search(
            rf"^long {handler}\(struct call \*call\) {{\n.*?^}}\n", code, re.MULTILINE | re.DOTALL
        )
        if body and PASSING.search(body[0]):
            yield name


def made(code: str) -> set[str]:
    return {name.lower() for name in re.findall(r"\b(?:__)?NR_(\w+)", code)}


@pytest.mark.parametrize("role", CODE)
def test_no_rule_is_without_a_user(project: Path, role: str) -> None:
    code = code_of(project, role)
    users = made(code) | BY_THE_KERNEL
    if role == "MONITOR":
        users |= set(passed_on(code, (project / "kwhost/monitor/calls/table.def").read_text()))

    assert set(rules(project, role)) - users == set()


@pytest.mark.parametrize("role", CODE)
def test_rules_are_not_given_twice(project: Path, role: str) -> None:
    given = rules(project, role)

    assert sorted(given) == sorted(set(given))


def makes(project: Path, role: str) -> set[str]:
    return set(re.findall(r"\bhost6?\(\s*__NR_(\w+)", code_of(project, role)))


def test_every_call_that_a_monitor_makes_is_open_to_it(project: Path) -> None:
    assert makes(project, "MONITOR") - set(rules(project, "MONITOR")) == BEFORE_THE_FILTER | FOR_ITSELF


def test_a_hosted_supervise_makes_no_other_call(project: Path) -> None:
    own = {*rules(project, "SUPERVISE"), *rules(project, "HOSTED")}

    assert makes(project, "HOSTED") - own == BEFORE_SUPERVISES_FILTER


def test_a_joiner_needs_no_call_that_a_ceiling_may_take_away(project: Path) -> None:
    definitions = (project / "kwhost/monitor/jail/filter.def").read_text()
    minimum = re.findall(r"^MONITOR\((\w+),", definitions, re.MULTILINE)

    others = makes(project, "JOINER") - {*minimum, *rules(project, "JOINER")}
    assert others == IN_THE_FIRST_PROCESS | WITHOUT_A_FILTER


def test_every_call_that_a_broker_makes_is_open_to_it(project: Path) -> None:
    of_supervise = {"socketpair"}

    own = {*rules(project, "BROKER"), *of_supervise}
    assert makes(project, "BROKER") - own == BEFORE_THE_BROKERS_FILTER


def test_what_calls_are_for_is_a_call_or_a_list_of_them(project: Path) -> None:
    monitor = project / "kwhost/monitor"
    lists = re.findall(r"^#define ([A-Z]+)\s*\\?\s*NR_", (monitor / "jail/needs.h").read_text(), re.MULTILINE)
    rows = re.findall(
        r'^MONITOR_FOR\(\w+, ".*?", (.*)\)$', (monitor / "jail/filter.def").read_text(), re.MULTILINE
    )
    callers = {caller for row in rows for caller in row.split(", ")}

    assert {name for name in callers if not name.startswith("NR_")} == set(lists)


def test_the_open_requests_of_kvm_are_those_in_use(project: Path) -> None:
    monitor = project / "kwhost/monitor"
    source = (monitor / "jail/filter_rules.c").read_text()
    listed = re.search(r"#define KVM_REQUESTS((?:.*\\\n)*.*)\n", source)
    used = set(re.findall(r"\bKVM_(?:RUN|(?:GET|SET|CREATE|CHECK)_\w+)", code_of(project, "MONITOR")))

    assert listed
    assert set(re.findall(r"KVM_\w+", listed[1])) == used


def test_no_call_is_both_a_need_and_deadly(project: Path) -> None:
    never = re.findall(
        r"^NEVER\((\w+)\)", (project / "kwhost/monitor/jail/filter.def").read_text(), re.MULTILINE
    )

    assert (
        set(never) & {*rules(project, "MONITOR"), *rules(project, "INIT"), *rules(project, "SUPERVISE")}
        == set()
    )
