"""What /proc/self/mountinfo and /proc/self/cgroup say of control groups is understood."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.cgroups.hierarchies import Controller, Hierarchies, Hierarchy, parse_hierarchies

V1 = "31 23 0:28 {root} {point} rw,relatime shared:9 - cgroup {source} {options}\n"
V2 = "41 31 0:38 {root} {point} rw,relatime - cgroup2 cgroup2 {options}\n"


def parse_v2(root: str, own: str, options: str = "rw", point: str = "/sys/fs/cgroup") -> Hierarchy:
    found = parse_hierarchies(V2.format(root=root, point=point, options=options), f"0::{own}\n").v2
    assert found
    return found


def test_a_hybrid_host_has_both_versions() -> None:
    mounts = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        + V1.format(root="/", point="/sys/fs/cgroup/memory", source="cgroup", options="rw,memory")
        + V1.format(root="/", point="/sys/fs/cgroup/systemd", source="cgroup", options="rw,name=systemd")
        + V2.format(root="/", point="/sys/fs/cgroup/unified", options="rw,nsdelegate")
    )

    found = parse_hierarchies(mounts, "9:name=systemd:/\n4:memory:/a/b\n0::/x\n")

    assert found == Hierarchies(
        v2=Hierarchy(Path("/sys/fs/cgroup/unified"), "/", "/x"),
        v1={Controller.MEMORY: Hierarchy(Path("/sys/fs/cgroup/memory"), "/", "/a/b")},
    )


def test_controllers_that_are_mounted_together_share_a_hierarchy() -> None:
    mounts = V1.format(root="/", point="/c/cpu,cpuacct", source="cgroup", options="rw,cpu,cpuacct")

    found = parse_hierarchies(mounts, "3:cpu,cpuacct:/own\n").v1

    assert set(found) == {Controller.CPU, Controller.ACCOUNTING}
    assert (
        found[Controller.CPU]
        == found[Controller.ACCOUNTING]
        == Hierarchy(Path("/c/cpu,cpuacct"), "/", "/own")
    )


@pytest.mark.parametrize(
    ("root", "own", "path"),
    [
        ("/", "/", [""]),
        ("/", "/user.slice/a.scope", ["", "user.slice", "user.slice/a.scope"]),
        ("/docker/1", "/docker/1", [""]),
        ("/docker/1", "/docker/1/x", ["", "x"]),
        ("/docker/1", "/docker/12", [""]),  # a neighbour
        ("/..", "/", [""]),  # the mount was made outside of our cgroup namespace
        ("/", "/../elsewhere", [""]),  # and here we are outside
    ],
)
def test_the_way_from_the_mount_point_to_the_own_group(root: str, own: str, path: list[str]) -> None:
    point = Path("/sys/fs/cgroup")

    assert parse_v2(root, own).path_to_own() == tuple(point / part for part in path)


def test_a_group_that_was_removed_is_not_known() -> None:
    assert parse_v2("/", "/gone (deleted)").own is None


def test_escaped_names_are_read() -> None:
    assert parse_v2("/", "/", point=r"/a\040b\134c").mount_point == Path(r"/a b\c")


def test_a_mount_that_can_be_written_comes_before_others() -> None:
    mounts = (
        V2.format(root="/", point="/read-only", options="ro")
        + V2.format(root="/part", point="/part", options="rw")
        + V2.format(root="/", point="/whole", options="rw")
    )

    found = parse_hierarchies(mounts, "").v2

    assert found == Hierarchy(Path("/whole"), "/", None)


class Model(NamedTuple):
    """A hierarchy of version 1, and how it may be mounted."""

    controller: Controller
    point: str
    root: str
    own: str
    read_only: bool


names = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8)
paths = st.lists(names, max_size=3).map(lambda parts: "/" + "/".join(parts))
groups = paths.filter(lambda path: "\n" not in path and not path.endswith(" (deleted)"))
models = st.lists(
    st.builds(Model, st.sampled_from(Controller), paths, groups, groups, st.booleans()),
    max_size=4,
    unique_by=lambda model: model.controller,
)


def escape(text: str) -> str:
    for character in "\\ \t\n":
        text = text.replace(character, f"\\{ord(character):03o}")
    return text


@given(models)
def test_what_the_kernel_writes_is_read_back(models: list[Model]) -> None:
    mounts = "".join(
        V1.format(
            root=escape(model.root),
            point=escape(model.point),
            source="cgroup",
            options=("ro" if model.read_only else "rw") + f",{model.controller.value}",
        )
        for model in models
    )
    own = "".join(f"{number}:{model.controller.value}:{model.own}\n" for number, model in enumerate(models))

    assert parse_hierarchies(mounts, own).v1 == {
        model.controller: Hierarchy(Path(model.point), model.root, model.own, model.read_only)
        for model in models
    }


@given(st.text(), st.text())
def test_no_text_is_too_strange(mountinfo: str, cgroup: str) -> None:
    parse_hierarchies(mountinfo, cgroup)
    parse_hierarchies(f"1 2 0:1 / /x rw - cgroup2 {mountinfo} rw", f"0::{cgroup}")
