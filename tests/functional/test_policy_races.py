"""What a call points to changes between the look and the use: what was judged is what is done."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand

pytestmark = pytest.mark.slow

EPERM, EACCES = 1, 13


def policy() -> bytes:
    """Files are executed in /bin alone and written in /tmp alone, not in /tmp/kept; one port is reached."""
    made = ByHand().other_paths(0, ("ERRNO", EACCES, 1)).path("/bin/**", READ | EXECUTE)
    made.path("/tmp/**", READ | WRITE, ("ERRNO", EACCES, 2)).path("/tmp/kept/**", READ)
    made.path("/proc/**", READ).path("/dev/**", READ | WRITE)
    made.other_addresses(("ERRNO", EPERM, 3), ("ALLOW", 0, 0))
    return made.network("TO", "127.0.0.0/8", (8080, 8080), ("ALLOW", 0, 0), protocol=17).compiled()


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    """One with the program `races`, also where it may not be executed, and a file that may be read."""
    workshop = open_workshop()
    program = workshop.folder / Path(workshop.build(Path(__file__).with_name("races.c"))).name
    (busybox_root / "tmp/kept").mkdir(parents=True)
    (busybox_root / "tmp/kept/file").write_text("kept\n")
    for place in ("bin/races", "bin/aye", "tmp/nay"):
        shutil.copy(program, busybox_root / place)
        (busybox_root / place).chmod(0o755)
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


RACES = ("open_how", "clone_args", "msghdr", "sockaddr", "passing", "iovec", "iovec-length", "path")
ON_HARDWARE = ("open_how", "sockaddr")


@pytest.mark.parametrize(
    "race", [pytest.param(race, marks=[pytest.mark.hw] if race in ON_HARDWARE else []) for race in RACES]
)
def test_what_was_judged_is_what_is_done(instance: HostedInstance, race: str) -> None:
    instance.start("/bin/races", race, policy=policy())

    assert instance.wait().status == 0, instance.log()
    there_is_none = race == "clone_args" and not instance.is_virtual  # of clone3, whose flags are in memory
    assert instance.logged() == ("never went well, won 0\n" if there_is_none else "went well, won 0\n")


@pytest.mark.parametrize("race", ["open_how", "msghdr", "sockaddr", "path"])
def test_where_everything_is_permitted_the_races_are_won(instance: HostedInstance, race: str) -> None:
    """Else the others would prove nothing."""
    instance.start("/bin/races", race, policy=ByHand().compiled())

    assert instance.wait().status == 0, instance.log()
    assert instance.logged().startswith("went well, won ")
    assert not instance.logged().endswith(" 0\n")
