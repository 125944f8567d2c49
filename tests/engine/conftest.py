"""Fixtures of the engine's tests: guest programs built once, and a native reference to compare with."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import pytest

from tests.engine.ways import DIRECT, PROCESS, Way, case
from tests.engine.workshop import CONTAIN, INSIDE, Workshop, open_workshop
from tests.patience import SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program showed: enough to tell whether two runs agree."""

    status: int
    output: str
    errors: str


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return open_workshop()


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def run_native(workshop: Workshop) -> Run:
    """Runs a program natively under an instance's conditions (contain.c)."""
    contain = workshop.folder / Path(workshop.build(CONTAIN)).name

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


@pytest.fixture(scope="session", params=[case(DIRECT), case(PROCESS)])
def way(request: pytest.FixtureRequest) -> Way:
    """How programs run as instances. Tests with ways of their own choose them by `indirect`."""
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="session")
def run_inside(way: Way, workshop: Workshop, kwhost_command: list[str]) -> Run:
    """Runs a program as an instance."""
    kwhost = [*way.caller, *kwhost_command, "run", *way.options]

    def run(command: Sequence[str], *, options: Sequence[str] = (), seconds: int = SECONDS) -> Outcome:
        with _carried(command, workshop) if way.is_bare else _shown(command, workshop) as (args, stdin):
            done = subprocess.run(
                [*kwhost, *options, *args], stdin=stdin, capture_output=True, timeout=seconds, check=False
            )
        return Outcome(status=done.returncode, output=_text(done.stdout), errors=_text(done.stderr))

    return run


# Arguments of `kwhost run` from the last options on, and the standard input.
Arguments = tuple[Sequence[str], int]


@contextmanager
def _shown(command: Sequence[str], workshop: Workshop) -> Iterator[Arguments]:
    """The workshop is a volume."""
    yield ["-v", f"{workshop.folder}:{INSIDE}:ro", "--", *command], subprocess.DEVNULL


@contextmanager
def _carried(command: Sequence[str], workshop: Workshop) -> Iterator[Arguments]:
    """What is the workshop's comes by standard input, and is used from where the program may write."""
    [given] = (word for word in command if word.startswith(f"{INSIDE}/"))
    words = " ".join('"$HOME/given"' if word is given else quote(word) for word in command)
    script = f'cat >"$HOME/given" && chmod +x "$HOME/given" && exec {words} </dev/null'
    with (workshop.folder / Path(given).name).open("rb") as file:
        yield ["-i", "--", "/bin/sh", "-c", script], file.fileno()


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
