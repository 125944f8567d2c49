"""Images that come to a daemon from several at once."""

import fcntl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
import trio.testing

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import ImageError, QuotaExceeded
from kwhost.core.images.on_disk import locked
from kwhost.core.images.service import Images
from kwhost.core.images.store import OPERATOR, Owner
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import DEFAULT_UID_BASE, InstanceId, InstanceName, TenantName
from kwhost.core.model.status import InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.images import ArchiveKind, HostedImages
from tests.functional.image_parts import docker_archive, image_config
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root

ACME = TenantName("acme")
ARCHIVE = docker_archive([Archive().add("file", b"content").data], "app:1")


@pytest.fixture
def images(tmp_path: Path) -> HostedImages:
    return HostedImages(Images(tmp_path, lambda: lease_ids(DEFAULT_UID_BASE)))


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


BOUND = 256 << 10


@pytest.fixture
def bounded(images: HostedImages) -> HostedImages:
    """With a tenant that may have little."""
    images.quota = lambda tenant: (images.promised(tenant), BOUND)
    return images


async def add(images: HostedImages, archive: bytes, owner: Owner = ACME) -> None:
    await images.add(owner, ArchiveKind.IMAGES, None, coming(archive))


async def test_what_a_tenant_brings_counts_once_until_it_is_removed(bounded: HostedImages) -> None:
    await add(bounded, ARCHIVE)
    counted = bounded.promised(ACME)
    await add(bounded, docker_archive([Archive().add("file", b"content").data], "app:2"))
    await bounded.load()  # as the next daemon does

    assert 8 << 10 < counted == bounded.promised(ACME) < BOUND
    for name in ("app:1", "app:2"):
        await bounded.remove(ACME, name)
    assert bounded.promised(ACME) == 0


LARGE = Archive().add("large", bytes(300_000)).data


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (LARGE, LARGE),
        (zlib.compress(LARGE, wbits=31), LARGE),
        (ending := Archive().add("small", b"").data + bytes(300_000), ending),
    ],
    ids=["files", "compressed", "behind-the-end"],
)
async def test_what_is_more_than_a_tenant_may_have_is_refused(
    layer: bytes, plain: bytes, bounded: HostedImages
) -> None:
    archive = docker_archive([layer], "app:1", config=image_config([plain]))
    with pytest.raises((QuotaExceeded, ImageError), match=r"storage (of acme|in use; the image asks)"):
        await add(bounded, archive)

    assert await bounded.list(ACME) == ()
    assert bounded.promised(ACME) == 0
    await add(bounded, archive, OPERATOR)


async def test_an_archive_that_can_never_fit_takes_no_room(bounded: HostedImages) -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        for _ in range(64):
            yield bytes(1 << 20)
        pytest.fail("all of it was taken")

    async with aclosing(endless()) as archive:
        with pytest.raises(QuotaExceeded, match=r"has more than .*: it cannot fit"):
            await bounded.add(ACME, ArchiveKind.IMAGES, None, archive)
    bomb = zlib.compress(Archive().add("unknown", bytes(64 << 20)).data, wbits=31)
    with pytest.raises(ImageError, match="that is left of the storage of acme"):
        await add(bounded, bomb)


async def test_whoever_has_no_storage_left_need_not_send_anything(bounded: HostedImages) -> None:
    bounded.quota = lambda _tenant: (BOUND, BOUND)
    begun = trio.Event()

    with pytest.raises(QuotaExceeded, match="all of its storage in use"):
        await bounded.add(ACME, ArchiveKind.IMAGES, None, stalled(begun))
    assert not begun.is_set()


async def test_what_an_instance_has_counts_without_a_name(bounded: HostedImages, tmp_path: Path) -> None:
    await add(bounded, ARCHIVE)
    await add(bounded, ARCHIVE, OPERATOR)
    counted = bounded.promised(ACME)
    (one,) = await bounded.list(OPERATOR)
    noted = tmp_path / "instances/0123456789ab/image"
    noted.parent.mkdir(parents=True)
    noted.write_text(one.digest)
    definition = InstanceDefinition(tenant=ACME, name=InstanceName("one"), command=("true",))
    record = InstanceRecord(
        id=InstanceId("0123456789ab"), tenant=ACME, name=definition.name, definition=definition,
        desired="running", state=InstanceState.RUNNING, created=1.0,
    )  # fmt: skip
    bounded.records = lambda: [record]

    await bounded.remove(ACME, "app:1")
    assert bounded.promised(ACME) == 0  # it has the operator's
    await bounded.remove(OPERATOR, "app:1")
    await bounded.load()  # as the next daemon does
    assert bounded.promised(ACME) == counted
    noted.unlink()
    await bounded.let_go(ACME, one.digest)
    assert bounded.promised(ACME) == 0


async def test_what_could_not_be_counted_is_not_counted_for_ever(
    bounded: HostedImages, tmp_path: Path
) -> None:
    await add(bounded, ARCHIVE, OPERATOR)
    names = tmp_path / "images/references/acme.json"

    def spoil_what_is_read_next(tenant: TenantName) -> tuple[int, int]:
        if bounded.promised(tenant):
            names.write_text("{")
        return bounded.promised(tenant), BOUND

    bounded.quota = spoil_what_is_read_next
    with pytest.raises(ImageError, match="cannot be read"):
        await add(bounded, ARCHIVE)

    names.unlink()
    assert bounded.promised(ACME) == 0


async def test_who_has_to_wait_keeps_few_threads(images: HostedImages, tmp_path: Path) -> None:
    await add(images, ARCHIVE, OPERATOR)
    await add(images, ARCHIVE, ACME)
    async with trio.open_nursery() as nursery:
        with locked(tmp_path / "images/references.lock", fcntl.LOCK_EX):
            for _ in range(100):
                nursery.start_soon(images.prune, ACME)
            await trio.testing.wait_all_tasks_blocked()
            with trio.fail_after(60):
                assert await trio.to_thread.run_sync(lambda: "free") == "free"
                assert len(await images.list(OPERATOR)) == 1


async def test_an_archive_that_never_comes_is_given_up(
    images: HostedImages, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(ImageError, match="did not come within 4 hours"):
        await images.add(ACME, ArchiveKind.IMAGES, None, stalled(trio.Event()))
