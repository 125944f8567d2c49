"""Images that come to a daemon from several at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import ImageError
from kwhost.core.images.service import Images
from kwhost.core.images.store import OPERATOR
from kwhost.core.model.ids import DEFAULT_UID_BASE, TenantName
from kwhost.core.supervise.images import ArchiveKind, HostedImages
from tests.functional.image_parts import docker_archive
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root

ACME = TenantName("acme")
ARCHIVE = docker_archive([Archive().add("file", b"content").data], "app:1")


@pytest.fixture
def images(tmp_path: Path) -> HostedImages:
    return HostedImages(Images(tmp_path, lambda: lease_ids(DEFAULT_UID_BASE)), tuple)


async def coming(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def stalled(begun: trio.Event) -> AsyncIterator[bytes]:
    """The beginning of an archive, and nothing more."""
    yield ARCHIVE[:100]
    begun.set()
    await trio.sleep_forever()


async def test_who_sends_slowly_keeps_nobody_waiting(images: HostedImages) -> None:
    async with trio.open_nursery() as nursery:
        for tenant in ("acme", "other", "third"):
            begun = trio.Event()
            nursery.start_soon(images.add, TenantName(tenant), ArchiveKind.IMAGES, None, stalled(begun))
            await begun.wait()
        with trio.fail_after(60):
            (added,) = await images.add(OPERATOR, ArchiveKind.IMAGES, None, coming(ARCHIVE))
        nursery.cancel_scope.cancel()

    assert added.name == "app:1"


async def test_a_tenants_archives_come_one_after_another(images: HostedImages) -> None:
    first, second = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(images.add, ACME, ArchiveKind.IMAGES, None, stalled(first))
        await first.wait()
        nursery.start_soon(images.add, ACME, ArchiveKind.IMAGES, None, stalled(second))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert not second.is_set()


async def test_an_archive_that_never_comes_is_given_up(
    images: HostedImages, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(ImageError, match="did not come within 4 hours"):
        await images.add(ACME, ArchiveKind.IMAGES, None, stalled(trio.Event()))
