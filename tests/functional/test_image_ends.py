"""Whoever is killed, and whatever disk is full: the image store has nothing half."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwhost.core.errors import HostError, ImageError, KwhostError
from kwhost.core.images import adding, loading
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.service import stored_image
from kwhost.core.images.store import OPERATOR
from tests.functional.image_parts import docker_archive
from tests.functional.image_store import BASE, TOP, Store
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


_KILLED = """
import os, signal, sys
from pathlib import Path
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.images import {module} as module
from kwhost.core.images.service import Images
original = module.{function}
def killed(*arguments, **options):
    if {after}:
        original(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
module.{function} = killed
images = Images(Path(sys.argv[1]), lambda: lease_ids(0x70000000))
images.load(None, os.open(sys.argv[2], os.O_RDONLY), None)
"""

_MOMENTS = [("loading", "unpack"), ("loading", "_adopt"), ("adding", "unpack"), ("adding", "write_record")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moment", _MOMENTS)
def test_whoever_is_killed_while_loading_leaves_nothing_half(
    moment: tuple[str, str], after: bool, store: Store, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(docker_archive([BASE, TOP], "a:1"))
    code = _KILLED.format(module=moment[0], function=moment[1], after=after)
    done = subprocess.run(
        [sys.executable, "-c", code, store.state, archive], timeout=60, check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    assert store.names() == []
    store.images.collect()
    assert store.content() == []
    store.load(archive.read_bytes())
    assert store.names() == ["a:1"]


_KILLED_REMOVING = """
import os, signal, sys
from pathlib import Path
from kwhost.core.images.service import Images
left = int(sys.argv[2])
def killed(original):
    def count(*arguments, **options):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return count
for name in ("rename", "rmdir", "unlink"):
    setattr(os, name, killed(getattr(os, name)))
Images(Path(sys.argv[1]), None).remove(None, "a:1")
"""


@pytest.mark.parametrize("change", range(1, 20))
def test_whoever_is_killed_while_removing_leaves_nothing_half(change: int, store: Store) -> None:
    """Before each change of a name that removing makes."""
    archive = docker_archive([BASE, TOP], "a:1")
    layers = store.state / "images/layers"
    store.load(archive)
    before = sorted(layers.rglob("*"))

    command = [sys.executable, "-c", _KILLED_REMOVING, str(store.state), str(change)]
    done = subprocess.run(command, timeout=60, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    store.load(archive)
    assert sorted(layers.rglob("*")) == before
    store.images.remove(OPERATOR, "a:1")
    assert store.content() == []


_STALLED = """
import os, sys
from pathlib import Path
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.images.service import Images
images = Images(Path(sys.argv[1]), lambda: lease_ids(0x70000000))
images.load(None, 0, None)
"""


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_jailed_process_ends_with_whoever_is_killed_while_it_works(store: Store) -> None:
    command = [sys.executable, "-c", _STALLED, str(store.state)]
    loading = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert loading.stdin
    loading.stdin.write(docker_archive([BASE, TOP], "a:1")[:3000])  # and then nothing more comes
    loading.stdin.flush()
    children = Path(f"/proc/{loading.pid}/task/{loading.pid}/children")
    ingest = store.state / "images/ingest"
    _wait_until(lambda: bool(list(ingest.rglob("config.json"))))
    (jailed,) = map(int, children.read_text().split())

    loading.kill()
    loading.wait()

    _wait_until(lambda: not Path(f"/proc/{jailed}").exists())
    loading.stdin.close()
    store.images.collect()
    assert store.content() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_one_line_and_leaves_room(small_disk: Path) -> None:
    store = Store(small_disk / "state")
    store.load(docker_archive([BASE], "small:1"))
    large = docker_archive([Archive().add("f", os.urandom(5 << 20)).data], "large:1")

    with pytest.raises(KwhostError, match="room") as caught:
        store.load(large)

    assert isinstance(caught.value, ImageError | HostError)
    assert store.names() == ["small:1"]
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    store.load(large)
    assert store.names() == ["large:1", "small:1"]


def test_a_disk_that_fills_up_meanwhile_is_one_line_and_leaves_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else took what there was room for before."""
    for module in (adding, loading):
        monkeypatch.setattr(module, "room_for", lambda _path: LayerBounds())
    store = Store(small_disk / "state")
    archive = small_disk.parent / "archive"
    archive.write_bytes(docker_archive([Archive().add("f", os.urandom(7 << 20)).data], "large:1"))

    with archive.open("rb") as opened, pytest.raises(KwhostError, match="No space left") as caught:
        store.images.load(OPERATOR, opened.fileno(), None)

    assert "\n" not in str(caught.value)
    assert (store.names(), store.content()) == ([], [])


def test_several_that_come_at_once_share_what_room_there_is(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    store = Store(small_disk / "state")

    def fill(*writes: Callable[[bytes], None]) -> None:
        while True:
            for write in writes:
                write(bytes(1 << 18))

    with store.images.spooling() as (_, one), store.images.spooling() as (_, other):
        with pytest.raises(HostError, match="too little room"):
            fill(one, other)
        assert os.statvfs(small_disk).f_bavail > 0


def test_several_loads_at_once_are_all_there(store: Store, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom kwhost.core.engines.id_ranges import lease_ids\n"
        "from kwhost.core.images.service import Images\n"
        "images = Images(Path(sys.argv[1]), lambda: lease_ids(0x70000000))\n"
        "images.load(None, os.open(sys.argv[2], os.O_RDONLY), None)"
    )
    processes = []
    for number in range(4):
        archive = tmp_path / f"archive-{number}"
        archive.write_bytes(docker_archive([BASE, TOP], f"a:{number}", Env=[f"N={number % 2}"]))
        processes.append(subprocess.Popen([sys.executable, "-c", code, store.state, archive]))

    assert [process.wait(60) for process in processes] == [0] * 4
    assert store.names() == [f"a:{number}" for number in range(4)]
    for image in store.images.list(OPERATOR):
        stored_image(store.state, OPERATOR, image.name).close()
