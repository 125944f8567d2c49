"""A tenant's bound for its storage, where volumes cannot be held to any."""

import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from kwhost.core.errors import HostError
from kwhost.core.images.removal import remove_tree
from kwhost.core.model.ids import TenantName
from kwhost.core.storage.directory import DirectoryBacking
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.supervise.volumes import HostedVolumes

ACME, FREE = TenantName("acme"), TenantName("free")


async def test_volumes_without_sizes_are_not_for_who_has_a_bound(tmp_path: Path) -> None:
    async def tell(_line: str) -> None:
        pytest.fail("nothing is wrong")

    store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory")
    volumes = HostedVolumes(store, tell)
    volumes.quota = lambda tenant: (0, 64 << 20 if tenant == ACME else None)

    with pytest.raises(HostError, match=r"tenant acme has 64\.0 MiB of storage, and what keeps volumes here"):
        await volumes.create(ACME, "data", None)
    assert (await volumes.create(FREE, "data", None)).size is None


async def test_what_they_hold_counts_for_who_gets_a_bound_later(tmp_path: Path) -> None:
    said: list[str] = []

    async def tell(line: str) -> None:
        said.append(line)

    store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory")
    for tenant in (ACME, FREE):
        store.create(tenant, "data")
        with store.using(tenant, "data") as files:
            (files / "f").write_bytes(bytes(1 << 20))
    volumes = HostedVolumes(store, tell)
    volumes.quota = lambda tenant: (0, 64 << 20 if tenant == ACME else None)
    await volumes.load()

    await volumes.count_unbounded()

    assert (volumes.promised(ACME), volumes.promised(FREE)) == (1 << 20, 0)
    (line,) = said
    assert line.startswith("the volume data of tenant acme has no size: the 1.0 MiB that it holds now count")


def test_directories_however_deep_are_counted(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(sys.getrecursionlimit() + 100):
        deep = deep / "d"
        deep.mkdir()
    (deep / "f").write_bytes(bytes(1 << 20))
    try:
        assert DirectoryBacking().count_used(tmp_path) >= 1 << 20
    finally:
        remove_tree(tmp_path / "d")


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(bytes(1 << 20))
    for number in range(3):
        os.link(tmp_path / "f", tmp_path / f"d/{number}")

    assert 1 << 20 <= DirectoryBacking().count_used(tmp_path) < 2 << 20


def test_counting_files_remembers_none_of_them(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / str(number)).touch()
    DirectoryBacking().count_used(tmp_path)
    tracemalloc.start()
    try:
        DirectoryBacking().count_used(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2000 * 30
    finally:
        tracemalloc.stop()
