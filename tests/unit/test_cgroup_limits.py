"""Limits become what the kernel counts, and what cannot be held has a reason."""

import os
from pathlib import Path

import pytest

from kwhost.core.cgroups import version1, version2
from kwhost.core.cgroups.disks import whole_disks
from kwhost.core.cgroups.files import Setting
from kwhost.core.cgroups.group import Cgroup
from kwhost.core.cgroups.hierarchies import Controller, Hierarchies, Hierarchy
from kwhost.core.cgroups.limits import Caps, Missing, instance_caps, tenant_caps
from kwhost.core.cgroups.placement import base_name, detect
from kwhost.core.cgroups.version import GroupUsage
from kwhost.core.cgroups.version1 import Version1
from kwhost.core.cgroups.version2 import Version2
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import BlockLimits, Limits
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.tenant import Quota

EVERYTHING = Limits(memory=1 << 20, cpus=0.5, pids=3, block=BlockLimits(read_bytes=1000))


@pytest.fixture(autouse=True)
def _two_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (version1, version2):
        monkeypatch.setattr(version, "whole_disks", lambda: ["8:0", "254:16"])


@pytest.fixture
def hierarchy(tmp_path: Path) -> Hierarchy:
    """A group with all controllers of version 2, as far as files tell."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.procs").touch()
    return Hierarchy(tmp_path, "/", "/")


def written(settings: list[Setting]) -> list[str]:
    return [f"{setting.file.name} {setting.value}" for setting in settings]


def test_tasks_are_two_for_each_guest_process_and_some_for_those_who_supervise() -> None:
    assert instance_caps(Limits(pids=100)).tasks == 209
    assert instance_caps(Limits()) == Caps()
    assert tenant_caps(Quota(pids=100, max_instances=3)).tasks == 227 + 3 * 17
    assert tenant_caps(Quota(memory=5, cpus=2.0)) == Caps(memory=5, cpus=2.0)


def test_without_monitors_the_guests_own_part_has_exactly_what_was_asked_for(hierarchy: Hierarchy) -> None:
    caps = instance_caps(Limits(pids=3), guest_tasks=3)
    base = hierarchy.mount_point / "kwhost"
    version1, version2 = Version1({Controller.PIDS: base}, {}), Version2(base, inside=False)

    for version in (version1, version2):
        limits = {
            str(each.file.relative_to(each.file.parents[1])): each.value
            for each in version.instance_settings("t/i", caps)
            if each.file.name == "pids.max"
        }
        # Around it there is room for those who supervise and answer: they take none of it.
        assert limits == {"i/pids.max": "31", "guest/pids.max": "3"}


def test_version_2_writes_all_limits(hierarchy: Hierarchy, tmp_path: Path) -> None:
    settings = detect(tmp_path, Hierarchies(hierarchy, {})).instance_settings(
        "t/i", instance_caps(EVERYTHING)
    )

    assert written(settings) == [
        "memory.swap.max 0",
        "memory.max 1048576",
        "cpu.max 50000 100000",
        "pids.max 15",
        "io.max 8:0 rbps=1000 wbps=max riops=max wiops=max",
        "io.max 254:16 rbps=1000 wbps=max riops=max wiops=max",
        "cgroup.subtree_control +memory +pids",
        "memory.oom.group 1",
        "pids.max max",
    ]


def test_version_1_writes_all_limits(tmp_path: Path) -> None:
    version = Version1(dict.fromkeys(Controller, tmp_path), {})

    assert written(version.instance_settings("t/i", instance_caps(EVERYTHING))) == [
        "memory.memsw.limit_in_bytes -1",
        "memory.limit_in_bytes 1048576",
        "memory.memsw.limit_in_bytes 1048576",
        "cpu.cfs_period_us 100000",
        "cpu.cfs_quota_us 50000",
        "pids.max 15",
        "blkio.throttle.read_bps_device 8:0 1000",
        "blkio.throttle.read_bps_device 254:16 1000",
        "pids.max max",
    ]


def test_limits_of_disks_are_lifted_where_there_were_some(hierarchy: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/io.max").write_text("8:0 rbps=1000 wbps=max riops=max wiops=max\n")
    (tmp_path / "t/blkio.throttle.write_iops_device").write_text("8:0 5\n")
    v2 = Version2(tmp_path, inside=False)
    v2._reasons.clear()
    v1 = Version1({Controller.BLOCK: tmp_path}, {})

    assert "io.max 8:0 rbps=max wbps=max riops=max wiops=max" in written(v2.tenant_settings("t", Caps()))
    assert "blkio.throttle.write_iops_device 8:0 0" in written(v1.tenant_settings("t", Caps()))


def test_in_version_1_supervise_leaves_the_instances_freezer() -> None:
    version = Version1({controller: Path("/c", controller.value) for controller in Controller}, {})

    assert Path("/c/freezer/t/i") in version.guest_directories("t/i")
    assert version.supervise_directories("t/i") == (Path("/c/freezer/t"), Path("/c/pids/t/i"))


def test_only_what_was_asked_for_can_be_missing(tmp_path: Path) -> None:
    version = detect(tmp_path, Hierarchies(None, {}))

    assert version.missing(Limits()) == ()
    assert version.missing(Limits(cpus=1.0)) == (
        Missing("cpus", "the controller cpu of control groups is not mounted"),
    )
    assert [entry.limit for entry in version.missing(EVERYTHING)] == ["memory", "cpus", "pids", "block"]


def test_a_controller_that_is_not_enabled_is_missing(hierarchy: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")

    missing = detect(tmp_path, Hierarchies(hierarchy, {})).missing(EVERYTHING)

    assert missing == (
        Missing("cpus", f"the controller cpu of control groups is not enabled in {tmp_path}"),
        Missing("block", f"the controller io of control groups is not enabled in {tmp_path}"),
    )


def test_read_only_hierarchies_hold_nothing(hierarchy: Hierarchy, tmp_path: Path) -> None:
    version = detect(tmp_path, Hierarchies(hierarchy._replace(read_only=True), {}))

    assert version.bases() == ()
    assert version.missing(Limits(memory=1)) == (
        Missing("memory", f"control groups are read-only at {tmp_path}"),
    )


def test_version_1_is_used_where_version_2_has_no_controllers(hierarchy: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    memory = {Controller.MEMORY: hierarchy}

    assert detect(tmp_path, Hierarchies(hierarchy, memory)).number == 1
    assert detect(tmp_path, Hierarchies(hierarchy, {})).number == 2


def test_groups_go_into_the_topmost_group_that_can_be_written(
    hierarchy: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, writable = tmp_path / "state", tmp_path / "user/service"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).is_relative_to(writable))

    version = detect(state, Hierarchies(hierarchy._replace(own="/user/service/app/scope"), {}))

    assert version.bases() == (writable / base_name(state),)


def test_users_without_a_group_of_their_own_are_told(
    hierarchy: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    missing = detect(tmp_path, Hierarchies(hierarchy, {})).missing(Limits(pids=1))

    assert missing == (Missing("pids", "this user may not make control groups here: run as root"),)


def test_state_directories_have_groups_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    assert base_name(tmp_path) != base_name(tmp_path / "a")
    assert base_name(tmp_path) == base_name(tmp_path / "link")


async def test_without_control_groups_instances_run_but_cannot_be_paused() -> None:
    version = Version1({}, {Controller.FREEZER: "there is no freezer"})
    group = Cgroup(version, TenantName("t"), InstanceId("0123456789ab"))

    group.create(EVERYTHING, Quota(pids=1))

    assert (group.open_procs(), group.open_guest_procs()) == ((), ())
    assert group.usage() == GroupUsage()
    with pytest.raises(LimitError, match="there is no freezer"):
        await group.freeze()
    await group.kill()
    await group.remove()


def test_disks_are_those_with_something_in_them(tmp_path: Path) -> None:
    for name, number, size in (
        ("vda", "254:0", 9),
        ("loop0", "7:0", 9),
        ("sr0", "11:0", 0),
        ("zram0", "1:1", 9),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dev").write_text(f"{number}\n")
        (tmp_path / name / "size").write_text(f"{size}\n")
    (tmp_path / "nvme0c0n1").mkdir()  # a path to a disk, hidden behind it

    assert whole_disks(tmp_path) == ["254:0"]
    assert whole_disks(tmp_path / "nothing") == []
