"""Fixtures of the engine's tests: guest programs built once, and a native reference to compare with."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Literal

import pytest

from tests.conftest import RunKwhost

TESTS = Path(__file__).resolve().parents[1]
GUEST = TESTS / "guest"
HOSTILE = TESTS / "hostile"
# Where the folder with the programs lies for a program, natively and in an instance.
INSIDE = "/mnt"
SECONDS = 120

type_linkage = Literal["static", "dynamic"]
_COMPILE = ["gcc", "-std=gnu11", "-O1", "-g", "-w", f"-I{GUEST}"]
_LIBRARIES = ["-pthread", "-lm", "-lrt", "-lutil"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program showed: enough to tell whether two runs agree."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """Builds programs into one folder that instances see as INSIDE."""

    folder: Path

    def build(self, source: Path, linkage: type_linkage = "static") -> str:
        """The program's path inside; built when it is not there yet."""
        name = f"{source.stem}.{linkage}"
        target = self.folder / name
        if not target.exists():
            fresh = target.with_suffix(f".{os.getpid()}")
            how = ["-static"] if linkage == "static" else []
            subprocess.run([*_COMPILE, *how, "-o", fresh, source, *_LIBRARIES], check=True)
            fresh.rename(target)
        return f"{INSIDE}/{name}"

    def add(self, script: Path) -> str:
        """A script's path inside."""
        copy(script, self.folder / script.name)
        return f"{INSIDE}/{script.name}"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("programs")
    folder.chmod(0o755)
    return Workshop(folder)


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def run_native(workshop: Workshop) -> Run:
    """Runs a program natively under an instance's conditions (contain.c)."""
    source = Path(__file__).parent / "contain.c"
    workshop.build(source)
    contain = workshop.folder / "contain.static"

    def run(command: Sequence[str], *, seconds: int = SECONDS) -> Outcome:
        done = subprocess.run(
            [contain, "-v", f"{workshop.folder}:{INSIDE}", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        return Outcome(status=done.returncode, output=_text(done.stdout), errors=_text(done.stderr))

    return run


@pytest.fixture(scope="session")
def run_inside(workshop: Workshop, run_kwhost: RunKwhost) -> Run:
    """Runs a program as an instance of the direct engine."""

    def run(command: Sequence[str], *, options: Sequence[str] = (), seconds: int = SECONDS) -> Outcome:
        volume = ["-v", f"{workshop.folder}:{INSIDE}:ro"]
        done = run_kwhost([*volume, *options, "--", *command], text=False, timeout=seconds)
        return Outcome(status=done.returncode, output=_text(done.stdout), errors=_text(done.stderr))

    return run


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
