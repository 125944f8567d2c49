"""What its instance owns is all that a program can see; in a virtual machine it never leaves ring 3."""

import pytest

from tests.engine.conftest import Outcome, Run
from tests.engine.ways import DIRECT, case
from tests.engine.workshop import HOSTILE, Workshop, emulated_arguments

pytestmark = pytest.mark.root

# Of a process of this kernel's all that is the kernel's to see to.
in_a_machine = pytest.mark.parametrize("way", [case(DIRECT)], indirect=True)


# Instructions that must fault whatever the processor and the kind of KVM.
FAULTING = [
    *"hlt cli sti rdmsr wrmsr lgdt lidt ltr invlpg wbinvd swapgs sysretq xsetbv jump read write".split(),
    *("read cr0", "read cr3", "write cr3", "read dr7", "load ss 0x18", "int 0x20", "int 14", "int 8"),
]
if not emulated_arguments():
    FAULTING += ["iretq to ring 0", "far return to ring 0"]


@pytest.fixture(scope="module")
def privileges(workshop: Workshop, run_inside: Run) -> Outcome:
    return run_inside([workshop.build(HOSTILE / "privileges.c"), *emulated_arguments()])


@pytest.mark.hw
@in_a_machine
def test_code_runs_in_ring_3_throughout(privileges: Outcome) -> None:
    assert privileges.output.startswith("cs 33 ss 2b\n")
    assert "ring() == 3: yes" in privileges.output
    assert "ring() == 3: NO" not in privileges.output


@pytest.mark.hw
@in_a_machine
@pytest.mark.parametrize("instruction", FAULTING)
def test_privileged_instructions_fault(privileges: Outcome, instruction: str) -> None:
    lines = [line for line in privileges.output.splitlines() if line.startswith(f"{instruction}: ")]

    assert lines, privileges.errors
    assert {line.rpartition(": ")[2] for line in lines} <= {"SEGV", "ILL", "BUS"}


@pytest.mark.hw
@in_a_machine
def test_no_port_is_open(privileges: Outcome) -> None:
    assert not [line for line in privileges.output.splitlines() if line.startswith(("OUT", "IN"))]
    assert "I/O privilege 0 interrupts 1" in privileges.output


def test_an_instance_sees_its_own_processes_only(run_inside: Run) -> None:
    outcome = run_inside(["/bin/sh", "-c", "ls /proc | grep -c '^[0-9]'; cat /proc/1/cmdline | tr '\\0' ' '"])

    count, _, command = outcome.output.partition("\n")
    assert int(count) <= 4
    assert command.startswith("/bin/sh -c")


def test_an_instance_has_a_network_of_its_own(run_inside: Run) -> None:
    outcome = run_inside(["/bin/sh", "-c", "cat /proc/net/dev | tail -n +3 | cut -d: -f1"])

    assert outcome.output.split() == ["lo"]


def test_files_of_the_host_stay_as_they_are(run_inside: Run) -> None:
    outcome = run_inside(
        ["/bin/sh", "-c", "echo mine > /etc/new-file; rm -f /usr/bin/env; cat /etc/shadow; id -u"]
    )

    assert outcome.output == "0\n"
    assert run_inside(["/usr/bin/env", "sh", "-c", "test ! -e /etc/new-file"]).status == 0
