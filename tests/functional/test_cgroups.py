"""Real control groups, version 1 or 2 as this host has them, hold what they are told to."""

import contextlib
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from kwhost.core.cgroups.disks import whole_disks
from kwhost.core.cgroups.group import Cgroup
from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.cgroups.hierarchies import read_hierarchies
from kwhost.core.cgroups.placement import base_name, detect
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import BlockLimits, Limits
from kwhost.core.model.ids import InstanceId, TenantName, new_instance_id
from kwhost.core.model.tenant import Quota

pytestmark = [pytest.mark.root, pytest.mark.hw]

EVERYTHING = Limits(memory=1 << 30, cpus=1.0, pids=100, block=BlockLimits(read_bytes=1 << 30))
ACME = TenantName("acme")
# What each instance of a tenant may have besides: those who answer for an instance without monitors.
BROKER = 17
# Generous: the emulated machine may be a hundred times slower.
PATIENCE = 60.0

TAKE_MEMORY = "held = []\nfor _ in range(512): held.append(b'x' * (1 << 20))"
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
# Prints how many children it may have; they end when it does.
COUNT_CHILDREN = """
import os, sys
sys.stdin.readline()
count = 0
hold, keep = os.pipe()
try:
    while count < 200:
        if os.fork() == 0:
            os.close(keep)
            os.read(hold, 1)
            os._exit(0)
        count += 1
except BlockingIOError:
    pass
print(count, flush=True)
"""
SHARE_OF_CPU = """
import time
wall, cpu = time.monotonic(), time.process_time()
while time.process_time() < cpu + 0.4: pass
print((time.process_time() - cpu) / (time.monotonic() - wall))
"""
COUNT = "import mmap, sys\npage = mmap.mmap(int(sys.argv[1]), 8)\nwhile True: page[0] = (page[0] + 1) % 256"
ECHO = "while read -r line; do echo $line; done"
BOMB = """
import os
while True:
    try: os.fork()
    except OSError: pass
"""


def remains(state_dir: Path) -> list[Path]:
    """All directories of groups of the state directory, in every hierarchy. Others come and go meanwhile."""
    v2, v1 = read_hierarchies()
    mounts = {hierarchy.mount_point for hierarchy in (v2, *v1.values()) if hierarchy}
    name = base_name(state_dir)
    return [Path(top) / name for mount in mounts for top, below, _ in os.walk(mount) if name in below]


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Cgroups]:
    if missing := detect(tmp_path).missing(EVERYTHING):
        pytest.skip("; ".join(entry.reason for entry in missing))
    opened = Cgroups.open(tmp_path)
    yield opened
    for group in opened.leftovers(()):
        trio.run(group.remove, PATIENCE)
    opened.close()
    assert remains(tmp_path) == []


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(groups: Cgroups) -> Iterator[Start]:
    """`start(group, code)` runs Python in a group as guest, or as `supervise`."""
    started: list[subprocess.Popen[str]] = []

    def run(
        group: Cgroup, code: str, *args: str, guest: bool = True, share: int = -1
    ) -> "subprocess.Popen[str]":
        fds = group.open_procs() + (group.open_guest_procs() if guest else ())
        join = f"import os\nfor fd in {fds}: os.write(fd, b'0')\n"
        process = subprocess.Popen(
            [sys.executable, "-c", join + code, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(*fds, share) if share >= 0 else fds,
        )
        for fd in fds:
            os.close(fd)
        started.append(process)
        return process

    yield run
    for group in groups.leftovers(()):
        trio.run(group.kill, PATIENCE)
    for process in started:
        process.communicate()


def create(
    groups: Cgroups, limits: Limits, quota: Quota | None = None, guest_tasks: int | None = None
) -> Cgroup:
    group = groups.instance(ACME, new_instance_id())
    group.create(limits, quota or Quota(), guest_tasks)
    return group


def answer(process: "subprocess.Popen[str]", question: str = "\n") -> str:
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(question)
        process.stdin.flush()
    return process.stdout.readline().strip()


async def wait_for(condition: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.01)


def test_memory_beyond_the_limit_ends_the_guest_but_not_supervise(groups: Cgroups, start: Start) -> None:
    limit = 64 << 20
    group = create(groups, Limits(memory=limit))
    supervise = start(group, WAIT, guest=False)
    assert answer(supervise) == "ready"

    guest = start(group, TAKE_MEMORY)

    assert guest.wait(PATIENCE) == -9
    assert supervise.poll() is None
    used = group.usage()
    assert (used.oom_kills or 0) >= 1
    assert limit / 2 < (used.memory_peak or limit) <= limit


def test_a_fifth_of_a_cpu_is_not_exceeded(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(cpus=0.2))

    share = float(answer(start(group, SHARE_OF_CPU)))

    assert share < 0.3
    assert (group.usage().cpu_seconds or 0) >= 0.4


def test_no_more_tasks_than_the_limit_allows(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(pids=3))

    assert int(answer(start(group, COUNT_CHILDREN))) == 2 * 3 + 9 - 1


def test_limits_change_while_the_instance_runs(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(pids=50))
    guest = start(group, COUNT_CHILDREN)

    group.update(Limits(pids=1))

    assert int(answer(guest)) == 2 * 1 + 9 - 1


def test_a_tenants_instances_share_its_quota(groups: Cgroups, start: Start) -> None:
    quota = Quota(pids=4, max_instances=2)
    first, second = create(groups, Limits(), quota), create(groups, Limits(), quota)
    other = start(first, WAIT)
    assert answer(other) == "ready"

    assert int(answer(start(second, COUNT_CHILDREN))) == 2 * 4 + 2 * (9 + BROKER) - 2


def test_a_quota_changes_while_instances_run(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(), Quota(pids=50))
    guest = start(group, COUNT_CHILDREN)

    groups.set_quota(ACME, Quota(pids=1))

    assert int(answer(guest)) == 2 * 1 + 9 + BROKER - 1


def test_without_monitors_the_guest_has_exactly_as_many_as_it_may(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(pids=3), guest_tasks=3)

    assert int(answer(start(group, COUNT_CHILDREN))) == 3 - 1
    assert group.usage().guest_tasks == 3


async def test_a_frozen_guest_stands_still_until_it_is_thawed(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits())
    memory = os.memfd_create("counter")
    os.ftruncate(memory, 8)
    with mmap.mmap(memory, 8) as page:
        start(group, COUNT, str(memory), share=memory)
        os.close(memory)
        await wait_for(lambda: page[0] != 0)

        await group.freeze(PATIENCE)
        stopped = page[0]
        await trio.run_process([sys.executable, "-c", ""])  # others go on
        assert page[0] == stopped

        group.thaw()
        await wait_for(lambda: page[0] != stopped)


async def test_supervise_is_never_frozen(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits())
    supervise, guest = start(group, WAIT, guest=False), start(group, WAIT)
    assert answer(guest) == "ready"

    await group.freeze(PATIENCE)

    assert answer(supervise) == "ready"


@pytest.mark.kvm
async def test_an_instance_is_frozen_with_its_virtual_machines(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits())
    command = [sys.executable, "-m", "kwhost", "run", "-i", "--", "sh", "-c", ECHO]
    instance = start(group, f"os.execv({sys.executable!r}, {command})")
    assert answer(instance, "one\n") == "one"

    await group.freeze(PATIENCE)
    group.thaw()

    assert answer(instance, "two\n") == "two"


async def test_what_does_not_stand_still_in_time_goes_on(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits())
    guest = start(group, COUNT_CHILDREN)
    group._version.is_frozen = lambda group: False  # type: ignore[method-assign]

    with pytest.raises(LimitError, match="within 0 s, and goes on"):
        await group.freeze(0)

    assert int(answer(guest)) == 200


async def test_a_fork_bomb_is_killed_frozen_or_not(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(pids=4))
    for frozen in (False, True):
        group.update(Limits(pids=4))
        bomb = start(group, BOMB)
        await wait_for(lambda: (group.usage().tasks or 0) == 2 * 4 + 9)
        if frozen:
            await group.freeze(PATIENCE)

        await group.kill(PATIENCE)

        assert group.processes() == set()
        assert bomb.wait(PATIENCE) == -9
        group.thaw()


async def test_removing_leaves_nothing_and_may_be_repeated(groups: Cgroups, tmp_path: Path) -> None:
    group = create(groups, EVERYTHING)

    await group.remove()
    await group.remove()
    groups.close()

    assert remains(tmp_path) == []


async def test_a_group_with_processes_is_not_removed(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits())
    process = start(group, WAIT)
    assert answer(process) == "ready"

    with pytest.raises(LimitError, match=f"processes {process.pid} are in it"):
        await group.remove(timeout=0)


def test_groups_of_unknown_instances_are_found_again(groups: Cgroups, tmp_path: Path) -> None:
    known, lost = create(groups, Limits()), create(groups, Limits())

    found = Cgroups.open(tmp_path).leftovers({known.instance})

    assert [(group.tenant, group.instance) for group in found] == [(ACME, lost.instance)]


def test_creating_is_all_or_nothing(groups: Cgroups) -> None:
    group = groups.instance(ACME, InstanceId("0123456789ab"))

    with pytest.raises(LimitError, match=r"cannot write '1[ ']"):
        group.create(Limits(cpus=0.00001), Quota())

    assert groups.leftovers(()) == ()


def test_creating_again_changes_the_limits(groups: Cgroups, start: Start) -> None:
    group = create(groups, Limits(pids=50))

    group.create(Limits(pids=2), Quota())

    assert int(answer(start(group, COUNT_CHILDREN))) == 2 * 2 + 9 - 1


@pytest.mark.slow
def test_writing_to_a_disk_is_no_faster_than_allowed(groups: Cgroups, start: Start, tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    if f"{os.major(device)}:{os.minor(device)}" not in whole_disks():
        pytest.skip("the temporary directory is not directly on a disk")
    group = create(groups, Limits(block=BlockLimits(write_bytes=2 << 20)))
    write = (
        "import sys\nwith open(sys.argv[1], 'wb') as f: f.write(b'x' * (4 << 20)); os.fsync(f)\nprint('done')"
    )

    began = time.monotonic()
    assert answer(start(group, write, str(tmp_path / "file"))) == "done"

    assert time.monotonic() - began > 1.0
    assert (group.usage().written_bytes or 0) >= 4 << 20


def test_a_daemon_in_the_group_above_moves_out_of_the_way(tmp_path: Path) -> None:
    """As in a container with a control group namespace of its own: its root is a group like any other."""
    v2 = read_hierarchies().v2
    if not v2:
        pytest.skip("control groups version 2 are not mounted")
    above = v2.mount_point / f"{base_name(tmp_path)}-above"
    code = (
        "import sys, pathlib\n"
        "from kwhost.core.cgroups.version2 import Version2\n"
        "above = pathlib.Path(sys.argv[1])\n"
        "(above / 'cgroup.procs').write_text('0')\n"
        "Version2(above / 'base', inside=True).prepare()\n"
        "print(pathlib.Path('/proc/self/cgroup').read_text(), (above / 'cgroup.subtree_control').read_text())"
    )
    above.mkdir()
    try:
        offered = set((above / "cgroup.controllers").read_text().split())

        done = subprocess.run(
            [sys.executable, "-c", code, str(above)], capture_output=True, text=True, check=True
        )

        assert f"0::/{above.name}/daemon\n" in done.stdout
        assert {"cpu", "memory", "pids", "io"} & offered <= set(done.stdout.split())
    finally:
        for directory in (above / "base", above / "daemon", above):
            with contextlib.suppress(FileNotFoundError):
                directory.rmdir()
