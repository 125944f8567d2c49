"""The same program natively and as an instance: exit status and output must agree, line by line."""

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.engine.conftest import Outcome, Run
from tests.engine.ways import BARE, BROKERED, DIRECT, PROCESS, USER, case
from tests.engine.workshop import DIFFERENTIAL_ON_HARDWARE, GUEST, Workshop, type_linkage

pytestmark = pytest.mark.root

PROGRAMS = sorted([*GUEST.glob("*.c"), *GUEST.glob("signals/*.c")])
SLOW = {"storm", "timers", "fault_races", "restart", "parking", "limits"}
# What a process of this kernel's does not have, by design: clone3's flags are in memory, where no filter sees
# them, so that it is no system call there, and libraries take clone.
NOT_IN_A_PROCESS = {"clone3"}
# What the broker does otherwise than the caller itself: no terminal becomes a session's by being opened;
# peers of Unix sockets are told 0 as the process id; that a table of descriptors is full is noticed last.
NOT_BY_A_BROKER = {"jobs", "unix_sockets", "descriptors"}
# Of those that do not depend on there being several user ids.
FOR_A_USER = frozenset(
    "clones descriptors directories execs inet_sockets memory threads unix_sockets".split()
)
# Of those that need neither capabilities nor sockets nor files of a place of their own.
WITHOUT_NAMESPACES = frozenset(
    "descriptors event_fds execs faults futexes memory pipes programs spawning splice threads unknown".split()
)


def _marks(name: str, linkage: str, *, direct: bool) -> Iterator[pytest.MarkDecorator]:
    """How the program reaches the kernel depends little on its linkage: `make check` runs one of the two."""
    if direct and name in DIFFERENTIAL_ON_HARDWARE and linkage == "static":
        yield pytest.mark.hw
    if name in SLOW or linkage == "dynamic":
        yield pytest.mark.slow


def _cases() -> Iterator[object]:
    for source in PROGRAMS:
        ways = [(DIRECT, "static"), (DIRECT, "dynamic")]
        if source.stem not in NOT_IN_A_PROCESS:
            ways.append((PROCESS, "static"))
        if source.stem not in NOT_IN_A_PROCESS | NOT_BY_A_BROKER:
            ways.append((BROKERED, "static"))
        if source.stem in FOR_A_USER:
            ways.append((USER, "static"))
        if source.stem in WITHOUT_NAMESPACES:
            ways.append((BARE, "static"))
        for way, linkage in ways:
            name = f"{source.relative_to(GUEST).with_suffix('')}-{linkage}"
            marks = tuple(_marks(source.stem, linkage, direct=way.is_direct))
            yield case(way, source, linkage, name=name, marks=marks)


@pytest.mark.parametrize(("source", "linkage", "way"), [*_cases()], indirect=["way"])
def test_native_and_instance_agree(
    source: Path, linkage: type_linkage, workshop: Workshop, run_native: Run, run_inside: Run
) -> None:
    program = workshop.build(source, linkage)
    native = run_native([program])
    inside = run_inside([program])
    assert native.status not in (125, 126, 127), f"the reference does not run: {native.errors}"
    assert _shown(native) == _shown(inside), _difference(native, inside)


def _shown(outcome: Outcome) -> tuple[int, str]:
    return outcome.status, outcome.output


def _difference(native: Outcome, inside: Outcome) -> str:
    lines = unified_diff(
        native.output.splitlines(), inside.output.splitlines(), "native", "instance", lineterm="", n=1
    )
    return "\n".join(
        [f"status {native.status} natively, {inside.status} in the instance", *lines, inside.errors.strip()]
    )
