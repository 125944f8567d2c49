"""Storages of plugins: whatever one does, the store of volumes goes on."""

import errno
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from kwhost.core.errors import HostError, KwhostError, UsageError
from kwhost.core.model.ids import TenantName
from kwhost.core.pluginmgr import storages
from kwhost.core.storage.directory import DirectoryBacking
from kwhost.core.storage.kinds import BUILT_IN, StorageKind
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.hookspecs import StorageOffer
from tests.unit.plugin_parts import Bench, make_plugin

ACME = TenantName("acme")


class Odd(DirectoryBacking):
    """Directories, but for the methods that a test replaces."""

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self.removed: list[str] = []
        for name, method in methods.items():
            setattr(self, name, method)

    def remove(self, place: Path) -> None:
        self.removed.append(place.name)


def raises(error: BaseException) -> Callable[..., object]:
    def function(*_: object) -> object:
        raise error

    return function


class Kept:
    """A store whose new volumes are `backing`'s."""

    def __init__(self, directory: Path, backing: Odd) -> None:
        offer = StorageOffer(name="odd", summary="odd", backing=backing)
        self.bench = Bench(a=make_plugin(storages=lambda: [offer]))
        offers = self.bench.manager.storages().items()
        kinds = {name: StorageKind(each.backing, each.least) for name, each in offers}
        self.store = VolumeStore(directory / "state", directory / "run", {**BUILT_IN, **kinds}, "odd")

    async def create(self) -> None:
        await trio.to_thread.run_sync(self.store.create, ACME, "data")

    async def create_and_read(self) -> list[str]:
        await self.create()
        return await self.read()

    async def read(self) -> list[str]:
        return await trio.to_thread.run_sync(self._read)

    def _read(self) -> list[str]:
        with self.store.using(ACME, "data") as files:
            return [path.name for path in files.iterdir()]


async def test_a_plugin_keeps_new_volumes_until_they_are_removed(tmp_path: Path) -> None:
    backing = Odd()
    kept = Kept(tmp_path, backing)

    await kept.create()
    assert (await kept.read(), kept.store.find(ACME, "data").kind) == ([], "odd")
    await trio.to_thread.run_sync(kept.store.remove, ACME, "data")

    assert [name.startswith(".gone-") for name in backing.removed] == [True]
    assert kept.bench.faults == []


@pytest.mark.parametrize(
    ("method", "function", "told"),
    [
        ("make", raises(ValueError("no\nidea")), "ValueError: no idea"),
        ("make", raises(SystemExit("bye")), "SystemExit: bye"),
        ("make", lambda *_: "made", "the answer is str, not NoneType"),
        ("make", partial(lambda *_: time.sleep(1)), "no answer within 0.1 s"),
        ("show", lambda *_: Path("/no/such"), "'/no/such' is no directory"),
        ("show", lambda *_: Path(), "'.' is no directory"),
    ],
)
async def test_a_plugins_fault_is_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, function: Any, told: str
) -> None:
    monkeypatch.setattr(storages, "STORAGE_SECONDS", 0.1)
    kept = Kept(tmp_path, Odd(**{method: function}))

    with pytest.raises(HostError, match=f"^the plugin a failed: {re.escape(told)}$"):
        await kept.create_and_read()

    assert kept.bench.faults == [f"plugin a: storages: {told}"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "full"), "cannot make the volume data: full; free some space"),
        (UsageError("no volume on a Sunday"), "no volume on a Sunday"),
    ],
)
async def test_what_the_disk_says_is_no_fault_and_leaves_nothing(
    tmp_path: Path, error: Exception, told: str
) -> None:
    backing = Odd(make=raises(error))
    kept = Kept(tmp_path, backing)

    with pytest.raises(KwhostError) as raised:
        await kept.create()

    assert (str(raised.value), kept.bench.faults, len(backing.removed)) == (told, [], 1)
    assert list((tmp_path / "state/volumes").glob(".new-*")) == []


async def test_volumes_of_a_plugin_that_is_gone_stay_as_they_are(tmp_path: Path) -> None:
    await Kept(tmp_path, Odd()).create()
    without = VolumeStore(tmp_path / "state", tmp_path / "run")

    with pytest.raises(HostError, match="no storage 'odd' for volumes here, only directory, ext4"):
        without.remove(ACME, "data")
    without.repair()

    assert without.find(ACME, "data").kind == "odd"


async def test_a_size_is_refused_where_the_storage_holds_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Odd())

    with pytest.raises(UsageError, match="'odd' holds no sizes"):
        await trio.to_thread.run_sync(kept.store.create, ACME, "data", 1 << 30)
