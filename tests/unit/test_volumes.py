"""What volumes become, and what they never show."""

import pytest

from kwhost.core.errors import ImageError
from kwhost.core.images.volumes import plan_volumes, procfs_places
from kwhost.core.model.mounts import MountKind
from kwhost.core.model.volume import Volume


def test_places_of_procfs_are_found() -> None:
    mountinfo = (
        b"22 1 0:20 / /proc rw shared:1 - proc proc rw\n"
        b"23 1 8:1 / / rw - ext4 /dev/sda rw\n"
        b"24 1 0:20 / /my\\040root/proc rw - proc none rw\n"
    )

    assert procfs_places(mountinfo) == ["/proc", "/my root/proc"]


@pytest.mark.parametrize("source", ["/proc", "/proc/self", "/proc/sys/kernel"])
def test_the_hosts_proc_is_no_volume(source: str) -> None:
    with pytest.raises(ImageError, match="never see the host's /proc"):
        plan_volumes([Volume(source=source, target="/p")])


def test_proc_below_a_volume_is_hidden() -> None:
    mounts = plan_volumes([Volume(source="/", target="/host", read_only=True)])

    assert mounts[0].kind is MountKind.BIND
    assert "/host/proc" in [mount.target for mount in mounts if mount.kind is MountKind.HIDE]
