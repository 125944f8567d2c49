"""Files in memory: what is written about them, and what that becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import UsageError
from kwhost.core.images.tmpfs import plan_tmpfs
from kwhost.core.model.mounts import MountFlag, MountKind
from kwhost.core.model.tmpfs import (
    Tmpfs,
    Visible,
    by_place,
    parse_tmpfs,
    parse_visible,
    sized,
    split_visible,
)
from kwhost.core.model.volume import Volume, parse_volume

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tmp", Tmpfs(target="/tmp")),
        ("/a//b/", Tmpfs(target="/a/b")),
        ("/t:size=16M,mode=700,uid=5,gid=6", Tmpfs(target="/t", size=16 * MIB, mode=0o700, uid=5, gid=6)),
        ("/t:exec", Tmpfs(target="/t", executable=True)),
        ("/t:rw,noexec,nosuid,nodev,size=65536k", Tmpfs(target="/t", size=64 * MIB)),
    ],
)
def test_a_tmpfs_is_written_as_dockers_is(text: str, expected: Tmpfs) -> None:
    assert parse_tmpfs(text) == expected
    assert parse_visible(f"tmpfs:{text}") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tmp", "must be absolute"),
        ("/", "cannot be the instance's root"),
        ("/t:ro", "has no option 'ro'"),
        ("/t:suid", "has no option 'suid'"),
        ("/t:size=", "has no option 'size='"),
        ("/t:size=0", "a size from 4k to 1P"),
        ("/t:size=big", "no size"),
        ("/t:mode=9", "has no option 'mode=9'"),
        ("/t:mode=10000", "cannot have the mode 10000"),
        ("/t:uid=-1", "has no option 'uid=-1'"),
        ("/t:uid=4294967295", "cannot be 4294967295:0's"),
        ("/t:size=1M,", "has no option ''"),
    ],
)
def test_what_is_no_tmpfs_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_tmpfs(text)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_a_tmpfs_or_an_error(text: str) -> None:
    try:
        tmpfs = parse_tmpfs(text)
    except UsageError:
        return
    (planned,) = sized([tmpfs], None)
    assert "/../" not in planned.target + "/"
    assert (planned.size or 0) >= 4096


def test_no_volume_is_called_tmpfs() -> None:
    with pytest.raises(UsageError, match="no volume can be called tmpfs"):
        parse_volume("tmpfs:/data")


def test_a_size_is_never_more_than_the_instances_memory() -> None:
    (usual,) = sized([Tmpfs(target="/t")], None)
    (small,) = sized([Tmpfs(target="/t")], 8 * MIB)

    assert (usual.size, small.size) == (64 * MIB, 8 * MIB)
    with pytest.raises(UsageError, match=r"is to hold 9\.0 MiB, and the instance may use 8\.0 MiB"):
        sized([Tmpfs(target="/t", size=9 * MIB)], 8 * MIB)


@pytest.mark.parametrize("place", ["/a/../b", "/a//b", "a", "/", "/a/"])
def test_a_place_that_a_request_names_is_the_kernels_own_name(place: str) -> None:
    with pytest.raises(UsageError, match=r"is to be written as|must be absolute|the instance's root"):
        sized([Tmpfs(target=place)], None)


def test_what_lies_within_something_else_comes_after_it() -> None:
    every: list[Visible] = [Tmpfs(target="/a/b"), Volume("v", "/a"), Volume("w", "/a/b/c")]

    assert [each.target for each in by_place(*split_visible(every))] == ["/a", "/a/b", "/a/b/c"]
    with pytest.raises(UsageError, match="two volumes have the same place in the instance, /a"):
        by_place([Volume("v", "/a")], [Tmpfs(target="/a")])


def test_a_tmpfs_has_bounds_and_no_rights() -> None:
    mount = plan_tmpfs(Tmpfs(target="/t", size=MIB, mode=0o700, uid=7, gid=8), 65536)

    assert (mount.kind, mount.target) == (MountKind.TMPFS, "/t")
    assert mount.data == f"size={MIB},nr_inodes=256,mode=700,uid=7,gid=8"
    assert mount.flags == MountFlag.NO_EXEC


def test_an_owner_that_the_instance_does_not_have_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"cannot be 1000:0's: the instance's ids are 0 to 0"):
        plan_tmpfs(Tmpfs(target="/t", size=MIB, uid=1000), 1)
