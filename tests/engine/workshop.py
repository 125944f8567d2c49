"""Builds the programs that instances run, once per content, into build/tests.

`python -m tests.engine.workshop` builds those that the hardware subset needs: on emulated hardware a
compiler takes far longer than the tests.
"""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Literal

TESTS = Path(__file__).resolve().parents[1]
GUEST = TESTS / "guest"
HOSTILE = TESTS / "hostile"
CONTAIN = TESTS / "engine" / "contain.c"
FOLDER = TESTS.parent / "build" / "tests"
# Where the folder lies for a program, natively and in an instance.
INSIDE = "/mnt"

type_linkage = Literal["static", "dynamic"]
_COMPILE = ["gcc", "-std=gnu11", "-O1", "-g", "-w", f"-I{GUEST}"]
_LIBRARIES = ["-pthread", "-lm", "-lrt", "-lutil"]
_CALLS = TESTS.parent / "kwhost/monitor/calls/table.def"
_HEADERS = [GUEST / "check.h", HOSTILE / "hostile.h", TESTS / "functional/telling.h", _CALLS]

# What runs on emulated hardware, where each instance takes seconds: one program per mechanism.
DIFFERENTIAL_ON_HARDWARE = frozenset(
    "faults memory reserve sharing threads clones execs unknown vector_state stacks".split()
)
HOSTILE_ON_HARDWARE = frozenset("privileges frames proc_escape pointers".split())
# These leave something out when they are told that they run on emulated hardware.
_KNOW_EMULATION = frozenset(("privileges", "pointers"))


@dataclass(frozen=True, slots=True)
class Workshop:
    """A folder of programs that instances see as INSIDE."""

    folder: Path

    def build(self, source: Path, linkage: type_linkage = "static") -> str:
        """The program's path inside; built when it is not there as its sources are now."""
        group = "" if source.parent in (GUEST, self.folder) else f"{source.parent.name}-"
        target = self.folder / f"{group}{source.stem}.{linkage}"
        stamp = target.with_suffix(f".{linkage}.stamp")
        content = b"".join(path.read_bytes() for path in (source, *_HEADERS))
        digest = hashlib.sha256(content).hexdigest()
        if not (target.exists() and stamp.exists() and stamp.read_text() == digest):
            fresh = target.with_suffix(f".{os.getpid()}")
            how = ["-static"] if linkage == "static" else []
            subprocess.run([*_COMPILE, *how, "-o", fresh, source, *_LIBRARIES], check=True)
            fresh.rename(target)
            stamp.write_text(digest)
        return f"{INSIDE}/{target.name}"

    def add(self, script: Path) -> str:
        """A script's path inside."""
        fresh = self.folder / f"{script.name}.{os.getpid()}"
        copy(script, fresh)
        fresh.rename(self.folder / script.name)  # others may be reading it
        return f"{INSIDE}/{script.name}"


def open_workshop() -> Workshop:
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o755)
    return Workshop(FOLDER)


def emulated_arguments(source: Path = HOSTILE / "privileges.c") -> list[str]:
    """What tells a program that takes it to leave out what QEMU's emulation cannot do, or not in time."""
    return ["emulated"] if "KWHOST_HW" in os.environ and source.stem in _KNOW_EMULATION else []


def main() -> None:
    workshop = open_workshop()
    wanted = [CONTAIN, TESTS / "functional/races.c"]
    wanted += [GUEST / f"{name}.c" for name in sorted(DIFFERENTIAL_ON_HARDWARE)]
    wanted += [HOSTILE / f"{name}.c" for name in sorted(HOSTILE_ON_HARDWARE)]
    for source in wanted:
        workshop.build(source)


if __name__ == "__main__":
    main()
