"""Real programs behind a jail that leaves open what they asked for, and nothing else of the program's: what
the monitor needs for itself, and for each of these calls, is there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from kwhost.core.images.host import host_image
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.policy.ceiling_table import compile_ceiling
from tests.engine.test_programs import PYTHON, SCRIPTS
from tests.engine.workshop import GUEST, INSIDE, Workshop
from tests.functional.ceilings import ceiling_of, profile
from tests.functional.hosted import HostedInstance

pytestmark = [pytest.mark.kvm, pytest.mark.root]

SAMPLES = {
    "busybox": ("/bin/busybox", "sh", "busybox.sh"),
    "bash": ("/bin/bash", "bash.sh"),
    "python": (PYTHON, "python_basics.py"),
    "asyncio": (PYTHON, "python_asyncio.py"),
    "node": ("node", "node_basics.js"),
    "git": ("/bin/sh", "git.sh"),
}
MECHANISMS = ("faults", "threads", "clones", "execs", "memory", "sharing")
# What ends a program may come before it is counted.
ALWAYS = {"exit", "exit_group"}

Run = Callable[..., HostedInstance]


@pytest.fixture
def run(tmp_path: Path, workshop: Workshop) -> Iterator[Run]:
    """Runs a command on this machine's files, with a ceiling or without."""
    made: list[HostedInstance] = []
    volume = Mount(MountKind.BIND, INSIDE, str(workshop.folder), flags=MountFlag.READ_ONLY)
    mounts = (*host_image("sample", read_only=False).mounts, volume)

    def start(*command: str, ceiling: bytes = b"") -> HostedInstance:
        made.append(HostedInstance(tmp_path / str(len(made)), Path("/"), mounts))
        made[-1].start(*command, ceiling=ceiling)
        return made[-1]

    yield start
    for instance in made:
        instance.close()


def shown(instance: HostedInstance) -> tuple[int, str]:
    return instance.wait().status, instance.logged()


def check_with_what_it_asks_for(run: Run, command: tuple[str, ...]) -> None:
    free = run(*command)
    expected = shown(free)
    assert expected[0] == 0, free.logged("stderr")

    narrow = run(*command, ceiling=ceiling_of(free.calls_made() | ALWAYS))

    assert shown(narrow) == expected, narrow.logged("stderr")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_mechanism_works_with_the_calls_that_it_makes(mechanism: str, workshop: Workshop, run: Run) -> None:
    check_with_what_it_asks_for(run, (workshop.build(GUEST / f"{mechanism}.c"),))


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_program_works_with_the_calls_that_it_makes(sample: str, workshop: Workshop, run: Run) -> None:
    *runner, script = SAMPLES[sample]
    if not which(runner[0]) or not which(sample if sample == "git" else runner[0]):
        pytest.skip(f"{sample} is not installed")

    check_with_what_it_asks_for(run, (*runner, workshop.add(SCRIPTS / script)))


@pytest.mark.parametrize("name", ["default", "web", "strict"])
def test_a_program_that_computes_works_under_each_profile(name: str, workshop: Workshop, run: Run) -> None:
    command = (PYTHON, "-c", "import hashlib; print(hashlib.sha256(b'kwhost').hexdigest())")

    assert shown(run(*command, ceiling=compile_ceiling(profile(name)))) == shown(run(*command))
