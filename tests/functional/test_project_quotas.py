"""Volumes that the file system itself holds to their sizes, on a real ext4 and a real xfs with quotas."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kwhost.core.abi.project_quota import project_of, quotas_between, within_quotas
from kwhost.core.config.host import HostConfig
from kwhost.core.errors import HostError, UsageError
from kwhost.core.hostcheck.volumes import check_volumes
from kwhost.core.images.free_room import PROJECT_FIRST, PROJECT_LAST, free_room
from kwhost.core.model.ids import TenantName
from kwhost.core.storage.disk import take_space
from kwhost.core.storage.volume_store import VolumeStore
from tests.conftest import RunKwhost
from tests.functional.project_disks import DISKS, missing_project_quotas, mounted_disk

pytestmark = [pytest.mark.root, pytest.mark.hw]

ACME = TenantName("acme")
MIB = 1 << 20
FULL = "No space left on device|Disk quota exceeded"

_missing = cache(missing_project_quotas)


def need_quotas(kind: str) -> None:
    if reason := _missing(kind):
        if "quota" in os.environ.get("KWHOST_MUST", "").replace(",", " ").split():
            pytest.fail(f"KWHOST_MUST names quota, but: {reason}")
        pytest.skip(reason)


@pytest.fixture(params=sorted(DISKS))
def state_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A state directory whose volumes are on a disk with project quotas."""
    need_quotas(request.param)
    with mounted_disk(request.param, tmp_path / "state/volumes"):
        yield tmp_path / "state"


@pytest.fixture
def store(state_dir: Path) -> VolumeStore:
    return VolumeStore(state_dir, state_dir.parent / "run")


def bounds(state_dir: Path) -> list[int]:
    """Of all volumes, those that are gone included."""
    fd = os.open(state_dir / "volumes", os.O_RDONLY)
    try:
        return [quota.size for _, quota in quotas_between(fd, PROJECT_FIRST, PROJECT_LAST) if quota.size]
    finally:
        os.close(fd)


def test_they_are_what_keeps_volumes_where_nothing_else_is_chosen(
    store: VolumeStore, state_dir: Path
) -> None:
    made = store.create(ACME, "data", 16 * MIB)

    assert (made.kind, made.size) == ("quota", 16 * MIB)
    (finding,) = check_volumes(HostConfig(state_dir / "volumes", state_dir, state_dir))
    assert finding.seen == "directories with project quotas, bounded"
    assert bounds(state_dir) == [16 * MIB]


def test_without_quotas_that_hold_they_are_not(tmp_path: Path) -> None:
    need_quotas("ext4")
    with mounted_disk("ext4", tmp_path / "state/volumes", "noquota"):
        assert VolumeStore(tmp_path / "state", tmp_path / "run").create(ACME, "a", 16 * MIB).kind == "ext4"

        store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="quota")
        with pytest.raises(HostError, match="cannot make the volume b: nothing holds it to its size"):
            store.create(ACME, "b", 16 * MIB)
        assert [path.name for path in (tmp_path / "state/volumes/acme").iterdir()] == ["a"]


IN_A_CONTAINER = """
import ctypes, os, sys
from pathlib import Path
from kwhost.core.storage.kinds import usual_kind
parent = os.getpid()
ready, done = os.pipe(), os.pipe()
if os.fork() == 0:
    os.read(ready[0], 1)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{parent}/{kind}").write_text("0 0 65536")
    os.write(done[1], b"1")
    os._exit(0)
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(ready[1], b"1")
os.read(done[0], 1)
print(os.geteuid(), usual_kind(Path(sys.argv[1])))
"""


def test_they_are_not_where_root_may_not_set_them(state_dir: Path) -> None:
    command = [sys.executable, "-c", IN_A_CONTAINER, str(state_dir / "volumes")]

    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)

    assert done.stdout == "0 ext4\n"


def test_a_full_volume_is_full_and_nothing_else(store: VolumeStore) -> None:
    for name in ("full", "other"):
        store.create(ACME, name, 16 * MIB)
    with store.using(ACME, "full") as full, store.using(ACME, "other") as other, within_quotas():
        with pytest.raises(OSError, match=FULL):
            (full / "f").write_bytes(bytes(32 * MIB))

        (other / "f").write_bytes(bytes(8 * MIB))
    assert 15 * MIB < (store.inspect(ACME, "full").used or 0) <= 16 * MIB
    assert 8 * MIB <= (store.inspect(ACME, "other").used or 0) < 9 * MIB


def test_files_without_content_are_bounded_too(store: VolumeStore) -> None:
    store.create(ACME, "data", MIB)
    with store.using(ACME, "data") as files, within_quotas():
        for number in range(63):  # its directory is one, too
            (files / str(number)).touch()
        with pytest.raises(OSError, match=FULL):
            (files / "one more").touch()


def test_what_an_image_has_there_fills_no_more_than_the_volume(store: VolumeStore) -> None:
    def fill(files: Path) -> None:
        (files / "f").write_bytes(bytes(32 * MIB))

    store.create(ACME, "data", 16 * MIB)
    with pytest.raises(HostError, match="cannot fill the volume data"), store.using(ACME, "data", fill):
        pytest.fail("it is not given away")


def test_nobody_gets_the_room_that_a_volume_was_promised(store: VolumeStore, state_dir: Path) -> None:
    volumes = state_dir / "volumes"
    before = free_room(volumes)
    store.create(ACME, "data", 200 * MIB)
    assert before - 201 * MIB < free_room(volumes) <= before - 199 * MIB

    with pytest.raises(HostError, match="No space left on device; free some space"):
        store.create(ACME, "more", 200 * MIB)
    (volumes / "disk").touch()
    with pytest.raises(OSError, match="No space left on device"):
        take_space(volumes / "disk", 200 * MIB, state_dir)
    assert bounds(state_dir) == [200 * MIB]

    with store.using(ACME, "data") as files:
        (files / "f").write_bytes(bytes(100 * MIB))
    assert before - 201 * MIB < free_room(volumes) <= before - 199 * MIB


def test_a_volume_that_is_too_small_is_refused(store: VolumeStore) -> None:
    with pytest.raises(UsageError, match=r"at least 1\.0 MiB"):
        store.create(ACME, "data", MIB - 1)


def test_nothing_is_left_of_a_volume_that_is_removed(store: VolumeStore, state_dir: Path) -> None:
    store.create(ACME, "data", 16 * MIB)
    with store.using(ACME, "data") as files:
        (files / "f").write_bytes(bytes(MIB))

    store.remove(ACME, "data")

    assert list((state_dir / "volumes/acme").iterdir()) == []
    assert bounds(state_dir) == []


KILLED_WHILE = """
import os, signal, sys
from pathlib import Path
from kwhost.core.storage import project, volume_store
store = volume_store.VolumeStore(Path(sys.argv[1]), Path(sys.argv[1]).parent / "run")
def killed(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "making":
    project.free_names = killed
    store.create("acme", "other", 16 << 20)
volume_store.remove_tree = killed
store.remove("acme", "data")
"""


@pytest.mark.parametrize("when", ["making", "removing"])
def test_a_repair_takes_away_what_was_left(when: str, store: VolumeStore, state_dir: Path) -> None:
    store.create(ACME, "data", 16 * MIB)
    command = [sys.executable, "-c", KILLED_WHILE, str(state_dir), when]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr

    assert store.repair() == ()

    assert bounds(state_dir) == ([16 * MIB] if when == "making" else [])
    assert list((state_dir / "volumes").glob(".[ng]*")) == []


def test_a_volume_whose_bound_is_lost_is_not_shown(store: VolumeStore, tmp_path: Path) -> None:
    store.create(ACME, "data", 16 * MIB)
    kept, lost = tmp_path / "state/volumes/acme/data", tmp_path / "state/volumes/acme/lost"
    subprocess.run(["cp", "-a", kept, lost], check=True)

    with pytest.raises(HostError, match="cannot use the volume lost: its bound is not held any more"):
        store.inspect(ACME, "lost")


LEAVES_ITS_PROJECT = """
import errno, fcntl, os, struct
open("/data/mine", "x").close()
for path in ("/data", "/data/mine"):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x401c5820, struct.pack("5I8x", 0, 0, 0, 0, 0))
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
ENGINES = [
    pytest.param(("--engine", "direct"), id="direct", marks=pytest.mark.kvm),
    pytest.param(("--engine", "process", "--isolation", "process"), id="process"),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_cannot_leave_its_volumes_project(
    engine: tuple[str, ...], store: VolumeStore, run_kwhost: RunKwhost
) -> None:
    store.create(TenantName("default"), "data", 16 * MIB)

    done = run_kwhost([*engine, "-v", "data:/data", "--", "python3", "-c", LEAVES_ITS_PROJECT])

    assert len(done.stdout.split()) == 2, done.stderr
    with store.using(TenantName("default"), "data") as files:
        projects = []
        for path in (files, files / "mine"):
            fd = os.open(path, os.O_RDONLY)
            projects.append(project_of(fd))
            os.close(fd)
    assert projects[0] == projects[1] >= PROJECT_FIRST


@pytest.mark.kvm
def test_a_program_sees_a_file_system_of_the_volumes_size_that_is_full(
    store: VolumeStore, run_kwhost: RunKwhost
) -> None:
    store.create(TenantName("default"), "data", 16 * MIB)
    fill = "df -k /data | tail -n 1 | awk '{ print $2 }'; head -c 32M /dev/zero >/data/f"

    done = run_kwhost(["-v", "data:/data", "--", "sh", "-c", fill])

    assert done.stdout == "16384\n"
    assert "No space left on device" in done.stderr
