"""Real programs of this machine, natively and as instances: the same status and output."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

from tests.engine.conftest import Outcome, Run
from tests.engine.ways import BARE, DIRECT, PROCESS, USER, case
from tests.engine.workshop import Workshop

pytestmark = pytest.mark.root

SCRIPTS = Path(__file__).parent / "programs"
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Program:
    """A script below programs/ and what runs it."""

    script: str
    runner: tuple[str, ...]
    needs: str = ""
    hardware: bool = False
    slow: bool = False
    user: bool = False  # an ordinary user runs it too
    bare: bool = False  # it needs no namespaces, nor what they bring


PROGRAMS = [
    Program("busybox.sh", ("/bin/busybox", "sh"), needs="busybox", hardware=True),
    Program("coreutils.sh", ("/bin/sh",)),
    Program("bash.sh", ("/bin/bash",), hardware=True, bare=True),
    Program("bash_jobs.sh", ("/bin/bash",), user=True),
    Program("archives.sh", ("/bin/sh",), needs="xz"),
    Program("python_basics.py", (PYTHON,), hardware=True, bare=True),
    Program("python_processes.py", (PYTHON,), hardware=True, slow=True, user=True),
    Program("python_signals.py", (PYTHON,), slow=True),
    Program("python_asyncio.py", (PYTHON,)),
    Program("python_network.py", (PYTHON,)),
    Program("python_venv.sh", ("/bin/sh",), slow=True),
    Program("node_basics.js", ("node",), needs="node", hardware=True),
    Program("node_workers.js", ("node",), needs="node", slow=True, bare=True),
    Program("node_http.js", ("node",), needs="node", hardware=True, user=True),
    Program("perl.pl", ("/usr/bin/perl",), needs="perl", hardware=True, slow=True),
    Program("git.sh", ("/bin/sh",), needs="git", hardware=True, slow=True, user=True, bare=True),
    Program("compile.sh", ("/bin/sh",), needs="g++", hardware=True, slow=True, bare=True),
    Program("processes.sh", ("/bin/sh",), needs="ps", hardware=True),
    Program("drops_root.py", (PYTHON,), hardware=True),
    Program("more_tools.sh", ("/bin/bash",), slow=True),
]


def _cases() -> Iterator[object]:
    for program in PROGRAMS:
        slow = (pytest.mark.slow,) if program.slow else ()
        hardware = (pytest.mark.hw,) if program.hardware else ()
        yield case(DIRECT, program, name=program.script, marks=(*hardware, *slow))
        ways = {PROCESS: True, USER: program.user, BARE: program.bare}
        yield from (case(way, program, name=program.script, marks=slow) for way in ways if ways[way])


@pytest.mark.parametrize(("program", "way"), [*_cases()], indirect=["way"])
def test_native_and_instance_agree(
    program: Program, workshop: Workshop, run_native: Run, run_inside: Run
) -> None:
    if program.needs and not which(program.needs):
        pytest.skip(f"{program.needs} is not installed")
    command = [*program.runner, workshop.add(SCRIPTS / program.script)]

    native = run_native(command)
    inside = run_inside(command)

    assert native.status == 0, f"the reference fails: {native.errors}"
    assert _shown(inside) == _shown(native), inside.errors


def _shown(outcome: Outcome) -> tuple[int, list[str]]:
    return outcome.status, outcome.output.splitlines()
