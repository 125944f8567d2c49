"""What this kernel makes of the filter of a program without a monitor.

The probe (kwhost/monitor/tests/jail_probe.c) sets the filter as the jail does, and makes calls. There is no
broker: what it would be asked about fails.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kwhost.core.engines.launch import sealed_record
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.compile import compile_layers
from tests.functional.ceilings import profile

# The kernel lets these through every filter: they work in its own trampolines only.
EXEMPT = {335, 336}  # uretprobe, uprobe
ANY = 2**64 - 1
X32 = 1 << 30
# No errno would tell of these: they end the caller, or its wait.
UNTRIED = {CALLS[name] for name in ("exit", "exit_group", "rt_sigreturn", "pause", "rt_sigsuspend")}


def attempt(
    probe: Path, policy: bytes, calls: Sequence[tuple[int, Sequence[int]]], bits: int = 64
) -> list[str]:
    """What became of each call."""
    lines = (
        f"{bits} {number} {' '.join(map(str, (*arguments, *[ANY] * (6 - len(arguments)))))}\n"
        for number, arguments in calls
    )
    file = sealed_record(policy) if policy else -1
    try:
        done = subprocess.run(
            [probe, "program", str(file)],
            input="".join(lines),
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[file] if policy else [],
        )
    finally:
        if policy:
            os.close(file)
    return done.stdout.splitlines()


def table(project: Path, kind: str) -> set[int]:
    """The numbers of the calls with a row of this kind."""
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    return {int(number) for number in re.findall(rf"^{kind}\((\d+), ", text, re.MULTILINE)}


def page_refusals(project: Path) -> set[int]:
    """The calls in the table of docs/jail.md, some of whose arguments are refused."""
    chapter = (project / "docs/jail.md").read_text().partition("\n## Programs without a monitor\n")[2]
    rows = re.findall(r"^\| (\w+) \| E\w+ \|", chapter.partition("\n## ")[0], re.MULTILINE)
    return {CALLS[name] for name in rows}


def test_without_rules_what_monitors_never_serve_is_refused_and_all_else_passes(
    project: Path, probe: Path
) -> None:
    numbers = [number for number in range(513) if number not in EXEMPT | UNTRIED | page_refusals(project)]

    outcomes = dict(zip(numbers, attempt(probe, b"", [(number, ()) for number in numbers]), strict=True))

    native = {CALLS["rseq"]}
    assert {number for number, outcome in outcomes.items() if outcome == "passed"} == (
        (table(project, "CALL") | native) & set(numbers)
    )
    assert {*outcomes.values()} == {"passed", "refused"}


@pytest.mark.parametrize("name", ["default", "web", "strict"])
def test_a_policy_is_asked_about_what_it_does_not_plainly_permit(probe: Path, name: str) -> None:
    policy = compile_layers(profile(name)).data
    tried = [
        (CALLS["getpid"], ()),
        (CALLS["socket"], (1, 1, 0)),
        (CALLS["socket"], (17, 3, 0)),
        (CALLS["ioctl"], (0, 0x5401)),
        (CALLS["ioctl"], (0, 0x5412)),
        (CALLS["mount"], ()),
        (CALLS["openat"], (ANY, 0, 0, 0)),
        (CALLS["openat"], (ANY, 0, 0o10000000, 0)),
    ]  # fmt: skip

    socket = "asked" if name == "strict" else "passed"
    opened = "passed" if name == "default" else "asked"
    assert attempt(probe, policy, tried) == [
        "passed", socket, "asked", "passed", "asked", "asked", opened, "passed",
    ]  # fmt: skip


def test_calls_of_other_architectures_end_the_process(probe: Path) -> None:
    calls = [(call, (0, 0, 0)) for call in range(0, 513, 16)]

    narrow = attempt(probe, b"", calls, bits=32)
    x32 = attempt(probe, b"", [(X32 | call, arguments) for call, arguments in calls])

    assert {*narrow, *x32} == {"killed"}


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("clone", (0x10000000 | 17,)),
        ("clone3", (0, 0)),
        ("unshare", (0x80,)),
        ("socket", (17, 3, 0)),
        ("socket", (16, 3, 12)),
        ("socket", (2, 1, 132)),
        ("ioctl", (0, 0x5412)),
        ("ioctl", (0, 0x4C00)),
        ("prctl", (22, 2, 0)),
        ("setsockopt", (0, 0, 64, 0, 0)),
        ("mmap", (0, 4096, 3, 0x40022, ANY, 0)),
    ],
)
def test_a_program_cannot_have(probe: Path, call: str, arguments: Sequence[int]) -> None:
    assert attempt(probe, b"", [(CALLS[call], arguments)]) == ["refused"]
