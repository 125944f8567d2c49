"""A tenant's bound for its storage, where volumes cannot be held to any."""

from pathlib import Path

import pytest

from kwhost.core.errors import HostError
from kwhost.core.model.ids import TenantName
from kwhost.core.storage.upper_disks import UpperDisks
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.supervise.volumes import HostedVolumes

ACME, FREE = TenantName("acme"), TenantName("free")


async def test_volumes_without_sizes_are_not_for_who_has_a_bound(tmp_path: Path) -> None:
    async def tell(_line: str) -> None:
        pytest.fail("nothing is wrong")

    store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory")
    volumes = HostedVolumes(store, UpperDisks(tmp_path / "state", tmp_path / "run"), tell)
    volumes.quota = lambda tenant: (0, 64 << 20 if tenant == ACME else None)

    with pytest.raises(HostError, match=r"tenant acme has 64\.0 MiB of storage, and what keeps volumes here"):
        await volumes.create(ACME, "data", None)
    assert (await volumes.create(FREE, "data", None)).size is None
