"""Volumes on a real btrfs, as kwhost's store of volumes has them."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from kwhost.core.errors import HostError, NotFound, UsageError
from kwhost.core.model.ids import TenantName
from kwhost.core.storage.kinds import StorageKind
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.testing import LoadPlugin

from kwhost_storage_btrfs import plugin
from kwhost_storage_btrfs.command import main

pytestmark = pytest.mark.btrfs

ACME = TenantName("acme")
MIB = 1 << 20


def store_at(state_dir: Path) -> VolumeStore:
    offer = plugin.storages()[0]
    kinds = {"btrfs": StorageKind(offer.backing, offer.least)}
    return VolumeStore(state_dir, state_dir.parent / "run", kinds, "btrfs")


@pytest.fixture
def store(state_dir: Path) -> VolumeStore:
    return store_at(state_dir)


def subvolumes(state_dir: Path) -> list[str]:
    command = ["btrfs", "subvolume", "list", "-o", state_dir / "volumes"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.rpartition(" ")[2] for line in lines]


def groups(state_dir: Path) -> list[str]:
    """The numbers of quota groups, but for that of the file system itself."""
    command = ["btrfs", "qgroup", "show", state_dir / "volumes"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split()[0] for line in lines if line.startswith("0/") and not line.startswith("0/5 ")]


def test_the_plugin_is_loaded_as_it_is(load_plugin: LoadPlugin) -> None:
    loaded = load_plugin(plugin)

    assert loaded.plugins.storages()["btrfs"].least == MIB


def test_what_is_written_is_found_again_and_counted(store: VolumeStore) -> None:
    made = store.create(ACME, "data", 16 * MIB)
    assert (made.kind, made.size) == ("btrfs", 16 * MIB)

    with store.using(ACME, "data") as files:
        (files / "f").write_bytes(os.urandom(4 * MIB))
    with store.using(ACME, "data") as files:
        assert [path.name for path in files.iterdir()] == ["f"]
    assert 4 * MIB <= (store.inspect(ACME, "data").used or 0) < 5 * MIB


def test_a_full_volume_is_full_and_nothing_else(store: VolumeStore) -> None:
    for name in ("full", "other"):
        store.create(ACME, name, 16 * MIB)
    with store.using(ACME, "full") as full, store.using(ACME, "other") as other:
        with pytest.raises(OSError, match="Disk quota exceeded") as raised:
            (full / "f").write_bytes(os.urandom(32 * MIB))
        assert raised.value.errno == errno.EDQUOT

        (other / "f").write_bytes(os.urandom(8 * MIB))
        os.sync()


def test_nothing_is_left_of_a_volume(store: VolumeStore, state_dir: Path) -> None:
    store.create(ACME, "data", 16 * MIB)
    main(["snapshot", "acme/data", "one", "--state-dir", str(state_dir)])

    store.remove(ACME, "data")

    assert (subvolumes(state_dir), groups(state_dir)) == ([], [])
    assert list((state_dir / "volumes/acme").iterdir()) == []


def test_a_snapshot_stays_as_it_is(
    store: VolumeStore, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create(ACME, "data", 16 * MIB)
    with store.using(ACME, "data") as files:
        (files / "f").write_text("before")
        main(["snapshot", "acme/data", "one", "--state-dir", str(state_dir)])
        (files / "f").write_text("after")

    taken = Path(capsys.readouterr().out.strip())
    assert (taken / "f").read_text() == "before"
    with pytest.raises(OSError, match="Read-only file system"):
        (taken / "f").write_text("changed")

    main(["ls", "acme/data", "--state-dir", str(state_dir)])
    assert capsys.readouterr().out == f"{taken}\n"
    main(["rm", "acme/data", "one", "--state-dir", str(state_dir)])
    main(["ls", "acme/data", "--state-dir", str(state_dir)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["snapshot", "acme/none", "one"], NotFound, "keeps no volume none of acme"),
        (["snapshot", "acme/data", "../x"], HostError, "'../x' is no name for a snapshot"),
        (["rm", "acme/data", ".."], HostError, "there is no snapshot '..'"),
        (["rm", "acme/data"], UsageError, "takes the name of a snapshot"),
        (["ls", "acme/data", "one"], UsageError, "takes no name of a snapshot"),
        (["ls", "acme/../x"], UsageError, "is no name for a volume"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    store: VolumeStore, state_dir: Path, arguments: list[str], error: type[Exception], told: str
) -> None:
    store.create(ACME, "data", 16 * MIB)

    with pytest.raises(error, match=told):
        main([*arguments, "--state-dir", str(state_dir)])


def test_another_file_system_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    store = store_at(tmp_path / "elsewhere")

    with pytest.raises(HostError, match=r"cannot make the volume data: btrfs subvolume create: .*btrfs"):
        store.create(ACME, "data", 16 * MIB)
    assert store.list(ACME) == ()
    assert list((tmp_path / "elsewhere/volumes").glob(".new-*")) == []
