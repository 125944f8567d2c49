"""What a program without namespaces leaves behind: nothing, however it or whoever watches it ends."""

import os
import signal
from pathlib import Path

import pytest

from tests.functional.bare import Surroundings, marked, need_landlock
from tests.functional.hosting import eventually
from tests.patience import SECONDS

pytestmark = pytest.mark.root


@pytest.fixture(params=["container", "user"])
def around(request: pytest.FixtureRequest) -> Surroundings:
    return Surroundings(need_landlock(request.param))


@pytest.fixture
def container() -> Surroundings:
    return Surroundings("container")


def test_what_it_wrote_is_removed_however_deep_and_locked(container: Surroundings) -> None:
    script = """
import os
os.chdir(os.environ["HOME"])
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
    open("file", "w").close()
    os.chmod(".", 0o700)
os.chmod(os.environ["HOME"] + "/d/d", 0)
os.chmod(os.environ["HOME"], 0)
"""
    container.python(script)

    assert not container.scratches()


LEAVES = "(setsid sh -c '{sleep} & {sleep}' &) ; setsid {sleep} & {then}"


@pytest.mark.hw
def test_what_it_leaves_behind_ends_with_it(around: Surroundings) -> None:
    then = f"while [ $(pgrep -fx '{around.sleep}' | wc -l) -lt 3 ]; do :; done; echo left"

    done = around.run("--", "sh", "-c", LEAVES.format(sleep=around.sleep, then=then))

    assert done.stdout == "left\n"
    assert not around.sleepers()


def test_what_it_made_ends_with_its_time(around: Surroundings) -> None:
    done = around.run("--timeout", "1s", "--", "sh", "-c", LEAVES.format(sleep=around.sleep, then="wait"))

    assert done.returncode == 124
    assert not around.sleepers()


@pytest.mark.parametrize("victim", ["kw-supervise", "kwhost"])
def test_all_ends_when_whoever_started_it_is_killed(around: Surroundings, victim: str) -> None:
    process = around.start("--", "sh", "-c", LEAVES.format(sleep=around.sleep, then="wait"))
    eventually(lambda: len(around.sleepers()) == 3, "the program's start")

    os.kill(_descendant(process.pid, victim), signal.SIGKILL)
    process.communicate(timeout=SECONDS)

    eventually(lambda: not around.sleepers(), "the end of all processes")
    eventually(lambda: not around.scratches(), "the removal of what it wrote")


def _descendant(pid: int, name: str) -> int:
    """The first process from `pid` downwards that has this name; of "kwhost", that reads its command line."""
    for child in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        if name == "kwhost" and b"\0run\0" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
        if Path(f"/proc/{child}/comm").read_text() == f"{name}\n":
            return child
    pytest.fail(f"there is no {name} below {pid}")


# Each makes the next one and ends: nobody can be found by looking once.
STORM = """
import os
for _ in range(4):
    if not os.fork():
        while True:
            if os.fork():
                os._exit(0)
os.wait()
__import__("time").sleep(1000)
"""


def test_processes_that_always_make_new_ones_end_too(around: Surroundings) -> None:
    command = ("python3", "-c", f"{STORM}# {around.sleep}")

    assert around.run("--timeout", "1s", "--", *command).returncode == 124

    assert not marked(command)


def test_processes_are_limited_by_the_id_of_its_own(container: Surroundings) -> None:
    script = """
import errno, os, time
children = []
def more():
    for _ in range(20):
        if not (child := os.fork()):
            time.sleep(1000)
        children.append(child)
try:
    more()
except OSError as error:
    print(errno.errorcode[error.errno], len(children))
"""
    done = container.run("--pids", "5", "--", "python3", "-c", script)

    assert done.stdout.splitlines() == ["EAGAIN 5"]  # as many as each user may have, and one more
