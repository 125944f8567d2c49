"""The limits that the monitors of an instance keep together: processes and threads, private memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.model.instance import GuestLimits
from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance

pytestmark = pytest.mark.kvm

MIB = 1 << 20


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path) -> Iterator[HostedInstance]:
    """One with the program `limits` in it."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("limits.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/limits")
    (busybox_root / "bin/true").symlink_to("busybox")
    hosted = HostedInstance(tmp_path, busybox_root)
    yield hosted
    hosted.close()


@pytest.mark.hw
@pytest.mark.parametrize("limit", [8, 40])
def test_processes_and_threads_are_counted_together(instance: HostedInstance, limit: int) -> None:
    instance.start("/bin/limits", "pids", str(limit), limits=GuestLimits(pids=limit))

    assert (instance.wait().status, instance.logged()) == (0, "all held\n")


@pytest.mark.hw
def test_private_memory_is_counted_together(instance: HostedInstance) -> None:
    limit = 64 * MIB
    instance.start("/bin/limits", "memory", str(limit), limits=GuestLimits(memory=limit))

    assert (instance.wait().status, instance.logged()) == (0, "all held\n")


@pytest.mark.slow
def test_both_limits_leave_ordinary_programs_alone(instance: HostedInstance) -> None:
    instance.shell(
        "for i in $(seq 100); do busybox true | busybox true || exit 1; done; echo well",
        limits=GuestLimits(memory=16 * MIB, pids=5),
    )

    assert (instance.wait().status, instance.logged()) == (0, "well\n")
