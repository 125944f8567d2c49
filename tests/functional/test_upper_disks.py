"""Disks for instances' roots: empty, bounded, and without a name from the moment that they are there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.errors import HostError, UsageError
from kwhost.core.storage.upper_disks import UpperDisks
from tests.functional.hosting import eventually
from tests.functional.test_volume_store import loops, mounts

pytestmark = pytest.mark.root

SIZE = 16 << 20


@pytest.fixture
def disks(tmp_path: Path) -> UpperDisks:
    return UpperDisks(tmp_path / "state", tmp_path / "run")


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "state/uppers").iterdir())


def test_each_is_empty_and_has_no_name(disks: UpperDisks, tmp_path: Path) -> None:
    for _ in range(2):
        with disks.fresh(SIZE) as place:
            assert os.listdir(place) == ["lost+found"]
            (place / "f").write_text("x")
            assert kept(tmp_path) == [str(SIZE)]

    assert mounts(tmp_path) == loops(tmp_path) == []
    assert list((tmp_path / "run/uppers").iterdir()) == []


def test_two_at_once_are_two(disks: UpperDisks) -> None:
    with disks.fresh(SIZE) as one, disks.fresh(SIZE) as two:
        (one / "f").write_text("x")
        assert os.listdir(two) == ["lost+found"]


def test_a_full_one_is_full(disks: UpperDisks) -> None:
    with disks.fresh(SIZE) as place, pytest.raises(OSError, match="No space left on device"):
        (place / "f").write_bytes(bytes(SIZE))


def test_its_space_is_taken_before_it_is_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=28m", "none", disk], check=True)
    disks = UpperDisks(disk / "state", tmp_path / "run")
    try:
        with disks.fresh(SIZE) as place:
            with pytest.raises(HostError, match="No space left"), disks.fresh(SIZE):
                pytest.fail("there is no room for another")
            (place / "f").write_bytes(bytes(SIZE // 2))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_nothing_is_made_of_one_for_which_there_is_no_room(disks: UpperDisks, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No space left"), disks.fresh(1 << 43):
        pass

    assert kept(tmp_path) == []


def test_few_sizes_are_kept_ready(disks: UpperDisks, tmp_path: Path) -> None:
    for number in range(18):
        with disks.fresh(SIZE + number * 4096):
            pass

    assert len(kept(tmp_path)) == 16
    assert str(SIZE) not in kept(tmp_path)


def test_one_that_is_too_small_is_refused(disks: UpperDisks) -> None:
    with pytest.raises(UsageError, match=r"at least 8\.0 MiB"), disks.fresh(1 << 20):
        pass


_KILLED = """
import os, signal, sys
from pathlib import Path
from kwhost.core.storage import upper_disks
disks = upper_disks.UpperDisks(Path(sys.argv[1]) / "state", Path(sys.argv[1]) / "run")
def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "copied":
    upper_disks.show_disk = killed
with disks.fresh(16 << 20):
    killed()
"""


@pytest.mark.parametrize("moment", ["copied", "mounted"])
def test_a_repair_takes_away_what_was_left(moment: str, disks: UpperDisks, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path), moment]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with disks.fresh(SIZE) as place:
        disks.repair()
        assert mounts(tmp_path) == [str(place)]

    eventually(lambda: not loops(tmp_path), "no loop device")
    assert kept(tmp_path) == [str(SIZE)]
    assert list((tmp_path / "run/uppers").iterdir()) == []
