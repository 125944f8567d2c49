"""Volumes as the store keeps them: bounded, one tenant's alone, and without a trace of who was killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, HostError, NotFound, UsageError
from kwhost.core.images.free_room import free_room
from kwhost.core.model.ids import TenantName
from kwhost.core.storage import disk
from kwhost.core.storage.volume_store import VolumeStore
from tests.functional.hosting import eventually

pytestmark = pytest.mark.root

ACME, OTHER = TenantName("acme"), TenantName("other")
SIZE = 16 << 20


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(tmp_path / "state", tmp_path / "run")


def mounts(place: Path) -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(place) in line]


def has_waiting(lock: Path) -> bool:
    """Whether somebody waits for the lock on a file."""
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return lock.exists() and any(f":{lock.stat().st_ino} " in line for line in waiting)


def loops(place: Path) -> list[str]:
    files = Path("/sys/block").glob("loop*/loop/backing_file")
    return [text for file in files if str(place) in (text := file.read_text())]


def test_what_is_written_is_found_again(store: VolumeStore, tmp_path: Path) -> None:
    made = store.create(ACME, "data", SIZE)
    assert (made.kind, made.size) == ("ext4", SIZE)
    with store.using(ACME, "data") as files:
        assert list(files.iterdir()) == []
        (files / "f").write_text("kept")

    assert mounts(tmp_path) == loops(tmp_path) == []
    with store.using(ACME, "data") as files:
        assert (files / "f").read_text() == "kept"


def test_a_full_volume_is_full_and_nothing_else(store: VolumeStore, tmp_path: Path) -> None:
    store.create(ACME, "data", SIZE)
    with store.using(ACME, "data") as files, pytest.raises(OSError, match="No space left on device"):
        (files / "f").write_bytes(bytes(SIZE))

    assert (store.inspect(ACME, "data").used or 0) > SIZE // 2
    assert (tmp_path / "state/volumes/acme/data/disk").stat().st_blocks * 512 >= SIZE


def test_one_that_is_taken_at_the_last_moment_is_not_removed(
    store: VolumeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(ACME, "data", SIZE)
    other, alone, held = VolumeStore(tmp_path / "state", tmp_path / "run"), store._changing, ExitStack()

    @contextmanager
    def just_before() -> Iterator[None]:
        """Somebody starts with it, and has it from then on."""
        monkeypatch.undo()
        with other.using(ACME, "data") as files:
            held.enter_context((files / "f").open("w"))
        with alone():
            yield

    monkeypatch.setattr(store, "_changing", just_before)
    with held, pytest.raises(Conflict, match="in use"):
        store.remove(ACME, "data")
    assert store.remove(ACME, "data").name == "data"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_its_space_is_taken_when_it_is_made(small_disk: Path, tmp_path: Path) -> None:
    store = VolumeStore(small_disk / "state", tmp_path / "run")
    store.create(ACME, "one", SIZE)
    with pytest.raises(HostError, match="No space left on device; free some space"):
        store.create(ACME, "two", SIZE)
    assert [volume.name for volume in store.list(ACME)] == ["one"]
    assert sorted(path.name for path in (small_disk / "state/volumes").iterdir()) == [".lock", "acme"]


def test_a_volume_does_not_take_all_that_a_disk_has(small_disk: Path, tmp_path: Path) -> None:
    store = VolumeStore(small_disk / "state", tmp_path / "run")

    with pytest.raises(HostError, match="No space left on device; free some space"):
        store.create(ACME, "one", 23 << 20)


def test_two_that_are_made_at_once_do_not_take_the_same_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, failures = VolumeStore(small_disk / "state", tmp_path / "run"), []
    lock = small_disk / "state/space.lock"

    def make_second() -> None:
        with pytest.raises(HostError) as caught:
            store.create(ACME, "two", SIZE)
        failures.append(str(caught.value))

    def look_first(path: Path) -> int:
        """The other one comes just after the look."""
        room = free_room(path)
        monkeypatch.undo()
        second.start()
        eventually(lambda: has_waiting(lock), "the second's waiting")
        return room

    second = threading.Thread(target=make_second)
    monkeypatch.setattr(disk, "free_room", look_first)
    store.create(ACME, "one", SIZE)
    second.join(30)

    assert failures == ["cannot make the volume two: No space left on device; free some space"]
    assert [volume.name for volume in store.list(ACME)] == ["one"]


def test_a_volume_is_its_tenants_alone(store: VolumeStore) -> None:
    store.create(ACME, "data", SIZE)

    assert store.list(OTHER) == ()
    with pytest.raises(NotFound):
        store.find(OTHER, "data")
    for name in ("../acme/data", "..", "", ".new-1", "a" * 65):
        with pytest.raises(UsageError):
            store.find(OTHER, name)


def test_a_name_is_taken_once(store: VolumeStore) -> None:
    store.create(ACME, "data", SIZE)
    with pytest.raises(Conflict, match="already"):
        store.create(ACME, "data", SIZE)


def test_a_volume_that_is_too_small_is_refused(store: VolumeStore) -> None:
    with pytest.raises(UsageError, match=r"at least 8\.0 MiB"):
        store.create(ACME, "data", 1 << 20)


def test_what_is_in_use_is_not_removed(store: VolumeStore, tmp_path: Path) -> None:
    store.create(ACME, "data", SIZE)
    with store.using(ACME, "data"), pytest.raises(Conflict, match="in use"):
        store.remove(ACME, "data")

    store.remove(ACME, "data")
    assert store.list(ACME) == ()
    assert list((tmp_path / "state/volumes/acme").iterdir()) == []


def test_two_may_use_one_volume_at_once(store: VolumeStore, tmp_path: Path) -> None:
    store.create(ACME, "data", SIZE)
    with store.using(ACME, "data") as one:
        with store.using(ACME, "data") as two:
            assert one == two
            assert len(loops(tmp_path)) == 1
        assert len(mounts(tmp_path)) == 1


def test_a_volume_is_filled_once_before_anybody_has_it(store: VolumeStore) -> None:
    def fill(files: Path) -> None:
        (files / "given").touch()

    store.create(ACME, "data", SIZE)
    store.inspect(ACME, "data")
    with store.using(ACME, "data", fill) as files:
        assert os.listdir(files) == ["given"]
        (files / "given").unlink()

    with store.using(ACME, "data", fill) as files:
        assert os.listdir(files) == []


def test_what_is_there_before_stays(store: VolumeStore) -> None:
    store.create(ACME, "data", SIZE)
    with store.using(ACME, "data") as files:
        (files / "mine").touch()

    with store.using(ACME, "data", lambda _files: pytest.fail("it is not empty")) as files:
        assert os.listdir(files) == ["mine"]


def test_what_was_half_filled_is_filled_anew(store: VolumeStore) -> None:
    def fail(files: Path) -> None:
        (files / "half/deep").mkdir(parents=True)
        raise HostError("no more")

    store.create(ACME, "data", SIZE)
    with pytest.raises(HostError, match="no more"), store.using(ACME, "data", fail):
        pytest.fail("it is not given away")

    with store.using(ACME, "data", lambda files: (files / "given").touch()) as files:
        assert os.listdir(files) == ["given"]


def test_who_starts_while_a_volume_is_filled_waits(store: VolumeStore, tmp_path: Path) -> None:
    seen: list[list[str]] = []
    store.create(ACME, "data", SIZE)
    lock = tmp_path / "state/volumes/acme/data/fill.lock"

    def start_second() -> None:
        with store.using(ACME, "data", lambda _files: pytest.fail("it is filled already")) as files:
            seen.append(os.listdir(files))

    second = threading.Thread(target=start_second)

    def fill(files: Path) -> None:
        second.start()
        eventually(lambda: has_waiting(lock), "the second start's waiting")
        (files / "given").touch()

    with store.using(ACME, "data", fill):
        second.join(30)
    assert seen == [["given"]]


KILLED_WHILE = """
import os, signal, sys
from pathlib import Path
from kwhost.core.storage import disk, volume_store
store = volume_store.VolumeStore(Path(sys.argv[1]) / "state", Path(sys.argv[1]) / "run")
def killed(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "making":
    disk.format_disk = killed
    store.create("acme", "other", 16 << 20)
elif sys.argv[2] == "removing":
    volume_store.remove_tree = killed
    store.remove("acme", "data")
with store.using("acme", "data") as files:
    (files / "f").write_text("kept\\n")
    os.sync()
    killed()
"""


@pytest.fixture(params=["using", "making", "removing"])
def killed(request: pytest.FixtureRequest, store: VolumeStore, tmp_path: Path) -> Iterator[str]:
    store.create(ACME, "data", SIZE)
    command = [sys.executable, "-c", KILLED_WHILE, str(tmp_path), request.param]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return request.param  # type: ignore[no-any-return]


def test_a_repair_takes_away_what_was_left(killed: str, store: VolumeStore, tmp_path: Path) -> None:
    store.repair()

    assert mounts(tmp_path) == []
    eventually(lambda: not loops(tmp_path), "no loop device")
    assert not [path for path in (tmp_path / "state/volumes").iterdir() if path.name.startswith((".n", ".g"))]
    if killed == "removing":
        assert store.list(ACME) == ()
        return
    assert [volume.name for volume in store.list(ACME)] == ["data"]
    with store.using(ACME, "data") as files:
        assert os.listdir(files) == (["f"] if killed == "using" else [])


def test_what_cannot_be_repaired_keeps_nothing_else_from_it(store: VolumeStore, tmp_path: Path) -> None:
    volumes = tmp_path / "state/volumes"
    for name, content in ((".gone-1", '{"kind": "gone"'), (".gone-2", "{"), (".gone-3", "")):
        (volumes / name).mkdir(parents=True)
        if content:
            (volumes / name / "volume.json").write_text(content)

    problems = store.repair()

    assert len(problems) == 2
    assert all("is damaged" in problem for problem in problems)
    assert sorted(path.name for path in volumes.glob(".gone-*")) == [".gone-1", ".gone-2"]
