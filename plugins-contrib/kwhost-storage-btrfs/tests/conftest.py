"""kwhost's fixtures for the tests of plugins, and a btrfs of a test's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytest_plugins = ["kwhost.testing"]

_SIZE = 256 << 20


@cache
def _missing() -> str | None:
    if os.geteuid() != 0:
        return "needs to be root"
    if not shutil.which("mkfs.btrfs") or not shutil.which("btrfs"):
        return "there is no mkfs.btrfs; install btrfs-progs"
    if "\tbtrfs\n" not in Path("/proc/filesystems").read_text():
        return "the kernel has no btrfs"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("btrfs") and (reason := _missing()):
        if "btrfs" in os.environ.get("KWHOST_MUST", "").replace(",", " ").split():
            pytest.fail(f"KWHOST_MUST names btrfs, but: {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose volumes are on btrfs."""
    disk, state = tmp_path / "disk", tmp_path / "state"
    volumes = state / "volumes"
    volumes.mkdir(parents=True)
    with disk.open("wb") as file:
        file.truncate(_SIZE)
    subprocess.run(["mkfs.btrfs", "-q", disk], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", disk, volumes], check=True)
    try:
        yield state
    finally:
        subprocess.run(["umount", "-l", volumes], check=True)
