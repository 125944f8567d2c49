"""Rules on files that Landlock holds where programs have no monitor: the broker is not asked about these."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType, replace_policy
from kwhost.core.engines.launch import sealed_record
from kwhost.core.hostcheck.kernel import landlock_version
from kwhost.core.images.rootfs import rootfs_image
from kwhost.core.model.mounts import Mount, MountKind
from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand
from tests.functional.test_join import Joined

HERE = Path(__file__).parent
EACCES = ("ERRNO", errno.EACCES, 1)
needs_truncating = pytest.mark.skipif(
    landlock_version()[0] < 3, reason="Landlock holds no rules on files before version 3 (Linux 6.2)"
)
OPENING = {"open", "openat", "creat"}
# What is done to files, and how the shell calls it.
TRIES = """
try() { if eval "$*" >/dev/null 2>&1; then echo "ok $*"; else echo "no $*"; fi; }
try 'read line </etc/passwd'
try 'echo x >/etc/passwd'
try 'echo x >>/etc/passwd'
try 'echo x >/etc/new'
try mkdir /etc/directory
try chmod 600 /etc/passwd
try mv /etc/passwd /data/passwd
try ln /etc/passwd /data/passwd
try 'echo x >/data/file'
try 'read line </data/file'
try mkdir -p /data/one/two
try mv /data/file /data/one/two/moved
try 'read line </data/one/two/moved'
try ln /data/one/two/moved /data/linked
try ln -s /etc/group /data/other
try 'echo x >/data/other'
try chmod 600 /data/linked
try rm -r /data/one
try 'echo x >/dev/null'
try 'echo x >/dev/stdout'
try 'read line </proc/self/status'
try 'read line </secret'
try ls /
"""


@pytest.fixture
def root(busybox_root: Path) -> Path:
    for name in ("mkdir", "mv", "ln", "rm", "chmod"):
        (busybox_root / "bin" / name).symlink_to("busybox")
    for name in ("data", "later"):
        (busybox_root / name).mkdir()
        (busybox_root / name).chmod(0o777)
    (busybox_root / "secret").write_text("secret\n")
    return busybox_root


@pytest.fixture
def instance(tmp_path: Path, root: Path) -> Iterator[HostedInstance]:
    hosted = HostedInstance(tmp_path, root, virtual=False)
    yield hosted
    hosted.close()


@pytest.fixture
def direct(tmp_path: Path, root: Path) -> Iterator[HostedInstance]:
    hosted = HostedInstance(tmp_path / "direct", root)
    yield hosted
    hosted.close()


def nested() -> ByHand:
    """Nothing is granted but what is named, and of that the inner directories are granted more."""
    policy = ByHand().other_paths(0, EACCES)
    for path in ("/bin/**", "/etc/**"):
        policy.path(path, READ | EXECUTE)
    return policy.path("/proc/**", READ).path("/dev/null", READ | WRITE).path("/data/**", READ | WRITE)


def printed(instance: HostedInstance, policy: ByHand, script: str = TRIES) -> list[str]:
    instance.shell(script, policy=policy.compiled())
    assert instance.wait().status == 0, instance.log()
    return instance.logged().splitlines()


@pytest.mark.hw
@pytest.mark.kvm
def test_the_same_is_permitted_as_in_a_virtual_machine(
    instance: HostedInstance, direct: HostedInstance
) -> None:
    answers = printed(instance, nested())

    assert answers == printed(direct, nested())
    assert "no echo x >/etc/passwd" in answers
    assert "ok mv /data/file /data/one/two/moved" in answers


@needs_truncating
def test_nobody_is_asked_about_opening(instance: HostedInstance) -> None:
    printed(instance, nested())

    assert not instance.calls_made() & (OPENING | {"mkdir", "rename", "unlink"})
    assert {"chmod"} <= instance.calls_made()  # which Landlock does not look at


@pytest.mark.parametrize(
    ("path", "access"),
    [
        ("/etc/passwd", 0),  # an exception
        ("/data/*.txt", READ),  # a wildcard
        ("/missing/**", READ),  # nothing that a rule could be tied to
        ("/secret", READ),  # a file, for which another may come to stand
    ],
)
def test_what_landlock_cannot_hold_the_broker_decides(
    instance: HostedInstance, path: str, access: int
) -> None:
    printed(instance, nested().path(path, access), "read line </etc/group")

    assert instance.calls_made() & OPENING


def test_names_that_others_change_are_the_brokers(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "in").mkdir(parents=True)
    (shared / "in/file").write_text("x\n")
    volume = Mount(MountKind.BIND, "/later", str(shared))
    mounts = (*rootfs_image(str(root)).mounts, volume)
    mounted = HostedInstance(tmp_path / "other", root, mounts, virtual=False)

    try:
        printed(mounted, nested().path("/later/in/**", READ), "read line </later/in/file")
        assert mounted.calls_made() & OPENING
    finally:
        mounted.close()


def test_who_opens_for_neither_reading_nor_writing_is_judged(instance: HostedInstance, root: Path) -> None:
    workshop = open_workshop()
    shutil.copy(workshop.folder / Path(workshop.build(HERE / "neither.c")).name, root / "bin/neither")

    assert printed(instance, nested(), "neither /etc/passwd; neither /secret; neither /dev/null") == [
        "/etc/passwd: EACCES",
        "/secret: EACCES",
        "/dev/null: ok",
    ]


@needs_truncating
def test_programs_that_join_have_the_same_rules(instance: HostedInstance) -> None:
    instance.shell("read end", interactive=True, policy=nested().compiled())
    instance.connect().started()

    joined = Joined(instance, ["/bin/sh", "-c", "read line </secret; echo $?; echo x >/data/x; echo $?"])

    assert joined.finish()[:2] == (0, "1\n0\n")
    assert not instance.calls_made() & OPENING


def replaced(instance: HostedInstance, policy: ByHand) -> str:
    """What is said of a new policy while the program runs; "" when it is in force."""
    client = instance.connect()
    client.started()
    fd = sealed_record(policy.compiled())
    client.send(replace_policy(), fd)
    os.close(fd)
    return client.event(EventType.POLICY).text


@needs_truncating
def test_what_landlock_holds_changes_with_a_restart_only(instance: HostedInstance) -> None:
    instance.shell("read end", interactive=True, policy=nested().compiled())

    assert "needs a restart: rules on files" in replaced(instance, nested().path("/later/**", READ | WRITE))


def test_what_the_broker_decides_changes_while_programs_run(instance: HostedInstance) -> None:
    def excepting() -> ByHand:
        return nested().path("/etc/group", 0)

    instance.shell("read end", interactive=True, policy=excepting().compiled())

    assert replaced(instance, excepting().path("/later/**", READ | WRITE)) == ""
