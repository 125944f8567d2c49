"""Starts with volumes, as a daemon has them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kwhost.core.images.accounts import Accounts
from kwhost.core.images.image import Image
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.status import InstanceState
from kwhost.core.model.tenant import Tenant
from kwhost.core.model.volume import Volume
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.volumes import HostedVolumes

ACME = TenantName("acme")
_MORE_THAN_THREADS = 50


class Slow(VolumeStore):
    """Whose volumes are ready once `ready` is set."""

    ready = threading.Event()

    @contextmanager
    def using(
        self, tenant: TenantName, name: str, fill: Callable[[Path], None] | None = None
    ) -> Iterator[Path]:
        self.ready.wait()
        with super().using(tenant, name, fill) as files:
            yield files


def record(number: int) -> InstanceRecord:
    name = InstanceName(f"i{number}")
    volumes = (Volume("data", "/data"),)
    return InstanceRecord(
        id=InstanceId(name), tenant=ACME, name=name,
        definition=InstanceDefinition(name=name, tenant=ACME, command=("true",), volumes=volumes),
        desired="running", state=InstanceState.STARTING, created=1.0,
    )  # fmt: skip


async def test_who_waits_for_volumes_leaves_the_threads_to_others(tmp_path: Path) -> None:
    async def tell(_line: str) -> None:
        pytest.fail("nothing is wrong")

    async def start(number: int) -> None:
        async with volumes.using(record(number), Tenant(name=ACME), Image((), Accounts())):
            started.append(number)

    store = Slow(tmp_path / "state", tmp_path / "run", usual="directory")
    volumes = HostedVolumes(store, tell)
    await volumes.create(ACME, "data", None)
    started: list[int] = []
    async with trio.open_nursery() as nursery:
        for number in range(_MORE_THAN_THREADS):
            nursery.start_soon(start, number)
        await wait_all_tasks_blocked()
        try:
            with trio.fail_after(20):
                await volumes.list(ACME)
        finally:
            store.ready.set()

    assert len(started) == _MORE_THAN_THREADS
