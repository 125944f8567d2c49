"""What roots are made of."""

from pathlib import Path

import pytest

from kwhost.core.errors import ImageError
from kwhost.core.images.host import HIDDEN_IN_ETC, HostLayout, plan_host, probe_host
from kwhost.core.images.rootfs import check_rootfs, plan_rootfs
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

MERGED: HostLayout = {"usr": None, "bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
SPLIT: HostLayout = {"usr": None, "bin": None, "lib": None}


def by_target(mounts: tuple[Mount, ...]) -> dict[str, Mount]:
    return {mount.target: mount for mount in mounts}


def test_links_are_reproduced_and_directories_bound() -> None:
    merged = by_target(plan_host(MERGED, "n", read_only=False))
    split = by_target(plan_host(SPLIT, "n", read_only=False))

    assert (merged["/bin"].kind, merged["/bin"].source) == (MountKind.SYMLINK, "usr/bin")
    assert split["/bin"].kind is MountKind.BIND
    for mount in (merged["/usr"], split["/bin"], split["/lib"]):
        assert mount.flags == MountFlag.READ_ONLY | MountFlag.RECURSIVE


def test_nothing_of_the_host_is_id_mapped_and_secrets_are_hidden() -> None:
    """Without a mapping the kernel lets an instance read what is open to all, and no more."""
    mounts = plan_host(MERGED, "box", read_only=False)
    targets = by_target(mounts)

    assert not [mount for mount in mounts if MountFlag.ID_MAPPED in mount.flags]
    assert targets["/etc"].kind is MountKind.OVERLAY
    for name in HIDDEN_IN_ETC:
        assert targets[f"/etc/{name}"].kind is MountKind.HIDE
    assert {"shadow", "gshadow", "ssh", "ssl/private", "sudoers", "kwhost"} <= set(HIDDEN_IN_ETC)
    assert "127.0.1.1\tbox" in (targets["/etc/hosts"].source or "")
    assert targets["/etc/hostname"].source == "box\n"


def test_steps_come_after_what_they_stand_on() -> None:
    for mounts in (plan_host(MERGED, "n", read_only=True), plan_rootfs("/srv/root")):
        order = [mount.target for mount in mounts]
        assert order[0] == "/"
        assert len(set(order)) == len(order) or "/tmp" in order
        for target in order[1:]:
            parent = str(Path(target).parent)
            if parent in order:
                assert order.index(parent) < order.index(target)


def test_a_read_only_root_keeps_the_usual_places_writable() -> None:
    mounts = plan_host(MERGED, "n", read_only=True)

    writable = {mount.target for mount in mounts if mount.kind is MountKind.TMPFS}
    assert {"/tmp", "/run", "/var/tmp", "/dev/shm"} <= writable


def test_the_probe_sees_this_machine() -> None:
    entries = probe_host()

    assert entries["usr"] is None
    assert "bin" in entries
    assert all("/" not in name for name in entries)


def test_roots_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "a:b").mkdir()
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path / "a:b", Path("/")):
        with pytest.raises(ImageError):
            check_rootfs(str(path))
    assert check_rootfs(str(tmp_path)) == str(tmp_path)
