"""The store gives back what it was given, keeps no more than it promises, and refuses files that it does
not understand."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from kwhost.core.errors import StoreError
from kwhost.core.model.definition import Healthcheck, InstanceDefinition, Limits, ProbeKind, Restart
from kwhost.core.model.events import AuditRecord, Event, EventKind
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.status import EndReason, InstanceState
from kwhost.core.model.volume import Volume
from kwhost.core.store import schema, tables
from kwhost.core.store.database import Store
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.store.schema import open_database

ACME, OTHER = TenantName("acme"), TenantName("other")
WEB = InstanceName("web")
ID = InstanceId("0123456789ab")
RECORD = InstanceRecord(
    id=ID,
    tenant=ACME,
    name=WEB,
    definition=InstanceDefinition(
        tenant=ACME,
        name=WEB,
        command=("sh", "-c", "\N{SNOWMAN}\x1b"),
        environment={"A": "1"},
        limits=Limits(memory=1 << 40, cpus=0.5),
        volumes=(Volume(source="/srv", target="/data", read_only=True),),
        restart=Restart.ON_FAILURE,
        healthcheck=Healthcheck(kind=ProbeKind.TCP, target=(":80",)),
    ),
    desired="running",
    state=InstanceState.EXITED,
    created=1.25,
    started=2.5,
    ended=3.0,
    exit_code=139,
    reason=EndReason.MEMORY,
    message="too large",
    restarts=3,
    engine="direct",
    configured=True,
)


def event(text: str = "", tenant: TenantName | None = ACME, instance: InstanceId | None = ID) -> Event:
    return Event(
        time=1.0, kind=EventKind.NOTICE, text=text, tenant=tenant, instance=instance, data={"k": "v"}
    )


def end(code: int) -> ExitHistory:
    return ExitHistory(instance=ID, started=None, ended=1.0, exit_code=code, reason=EndReason.EXITED)


def audit(target: str) -> AuditRecord:
    return AuditRecord(time=1.0, uid=0, user="root", action="stop", target=target, outcome="ok")


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kwhost.db"


async def test_what_was_saved_is_there_after_the_next_start(path: Path) -> None:
    entry = audit("acme/web")
    async with opened(path) as store:
        await store.save_instance(replace(RECORD, state=InstanceState.STARTING))
        saved = await store.save_instance(RECORD, event("ended"), event("again"), ended=end(1))
        await store.append_audit(entry)

    async with opened(path) as store:
        assert await store.instances() == (RECORD,)
        assert (await store.events(0, 10)).events == saved
        assert [each.seq for each in saved] == [1, 2]
        assert await store.last_event() == 2
        assert await store.exits(ID, 10) == (end(1),)
        assert await store.audit(10) == (entry,)


async def test_a_removed_instance_leaves_its_events_alone(path: Path) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD, event("made"), ended=end(1))
        await store.remove_instance(ID, event("removed"))

        assert await store.instances() == ()
        assert await store.exits(ID, 10) == ()
        assert [each.text for each in (await store.events(0, 10)).events] == ["made", "removed"]


async def test_the_journal_is_read_in_pages_of_what_one_may_see(path: Path) -> None:
    async with opened(path) as store:
        for number in range(6):
            await store.append_event(event(str(number), tenant=(ACME, OTHER, None)[number % 3]))
        await store.append_event(event("6", instance=InstanceId("ffffffffffff")))

        first = await store.events(0, 1, tenants={ACME})
        rest = await store.events(first.last, 10, tenants={ACME})
        mine = await store.events(0, 10, tenants={ACME}, instance=ID)

        assert [each.text for each in first.events + rest.events] == ["0", "3", "6"]
        assert rest.last == 7
        assert [each.text for each in mine.events] == ["0", "3"]
        assert mine.last == 7
        assert await store.events(7, 10) == ((), 7)
        assert len((await store.events(0, 10)).events) == 7


async def test_the_newest_of_what_one_may_see_are_found(path: Path) -> None:
    async with opened(path) as store:
        for number in range(6):
            await store.append_event(event(str(number), tenant=(ACME, OTHER, None)[number % 3]))

        assert await store.newest_events(2) == 4
        assert await store.newest_events(1, tenants={ACME}) == 3
        assert await store.newest_events(10, tenants={ACME}) == 0
        assert await store.newest_events(0) == 6
        assert await store.newest_events(3, instance=InstanceId("ffffffffffff")) == 6
        assert await store.newest_events(10**30) == 0


async def test_the_audit_of_an_instance_is_only_what_was_about_it(path: Path) -> None:
    async with opened(path) as store:
        await store.append_audit(audit("acme/web"))
        await store.append_audit(replace(audit(f'"{ID}"'), instance=InstanceId("ffffffffffff")))
        await store.append_audit(replace(audit("acme/web"), instance=ID))

        assert await store.audit(10, ID) == (replace(audit("acme/web"), instance=ID),)
        assert len(await store.audit(10)) == 3


async def test_many_writers_at_once_all_get_their_turn(path: Path) -> None:
    numbers: list[int] = []

    async def write(store: Store, number: int) -> None:
        record = replace(RECORD, id=InstanceId(f"{number:012x}"))
        numbers.extend(each.seq for each in await store.save_instance(record, event()))

    async with opened(path) as store:
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(write, store, number)

        assert sorted(numbers) == list(range(1, 501))
        assert len(await store.instances()) == 500


async def test_a_write_that_was_begun_is_finished(path: Path) -> None:
    async with opened(path) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.save_instance(RECORD)

        assert await store.instances() == (RECORD,)


async def test_a_closed_store_says_so(path: Path) -> None:
    async with opened(path) as store:
        pass

    with pytest.raises(StoreError, match="closed"):
        await store.save_instance(RECORD)
    with pytest.raises(StoreError, match="closed"):
        await store.instances()


async def test_the_newest_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVENTS_KEPT", "AUDIT_KEPT", "EXITS_KEPT"):
        monkeypatch.setattr(tables, name, 7)
    monkeypatch.setattr(tables, "_PRUNE_STEP", 5)
    async with opened(path) as store:
        for number in range(1, 21):
            await store.append_event(event(str(number)))
            await store.append_audit(audit(str(number)))
            await store.append_exit(end(number))

        assert [each.seq for each in (await store.events(0, 100)).events] == list(range(14, 21))
        assert [each.target for each in await store.audit(2)] == ["19", "20"]
        assert len(await store.audit(100)) == 7
        assert [each.exit_code for each in await store.exits(ID, 100)] == list(range(14, 21))


async def test_text_that_is_no_unicode_is_kept_as_far_as_possible(path: Path) -> None:
    async with opened(path) as store:
        await store.append_event(event("cannot read /srv/\udcff"))

        assert (await store.events(0, 1)).events[0].text == "cannot read /srv/?"


async def test_only_the_owner_may_read_the_file(path: Path) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD)

        assert {file.stat().st_mode & 0o777 for file in path.parent.glob("kwhost.db*")} == {0o600}


async def test_an_older_file_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD)

    monkeypatch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, "ALTER TABLE instances ADD note TEXT"))
    async with opened(path):
        pass

    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema._MIGRATIONS),)
        assert connection.execute("SELECT id, note FROM instances").fetchall() == [(ID, None)]
    connection.close()


async def test_a_change_of_the_file_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD)

    with monkeypatch.context() as patch:
        patch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, "DELETE FROM instances; NONSENSE"))
        with pytest.raises(StoreError):
            await Store.open(path)

    async with opened(path) as store:
        assert await store.instances() == (RECORD,)


def refused(path: Path, match: str) -> None:
    """Opening fails for the reason, and the file stays as it is."""
    before = path.read_bytes()
    with pytest.raises(StoreError, match=match) as caught:
        open_database(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


async def test_a_newer_file_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()

    refused(path, "newer")


async def test_another_programs_file_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE instances (id)")
    connection.close()

    refused(path, "another program")


@pytest.mark.parametrize("offset", [0, 16, 100, 4096, 8192])
async def test_a_damaged_file_is_refused(path: Path, offset: int) -> None:
    async with opened(path) as store:
        for number in range(50):
            await store.append_event(event(str(number)))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 64)

    refused(path, "damaged|another program")


async def test_a_record_of_a_newer_version_is_refused(path: Path) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE instances SET record = replace(record, '\"exited\"', '\"sleeping\"')")
        connection.close()

        with pytest.raises(StoreError, match="cannot read"):
            await store.instances()


async def test_a_place_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    for name in ("missing/kwhost.db", ".", "link"):
        with pytest.raises(StoreError, match="cannot be opened"):
            await Store.open(tmp_path / name)


async def test_a_full_disk_fails_the_write_and_nothing_else(path: Path) -> None:
    async with opened(path) as store:
        await store.save_instance(RECORD)
        store._tables._connection.execute("PRAGMA max_page_count = 12")
        with pytest.raises(StoreError, match="disk is full"):
            await store.append_event(event("x" * 100_000))

        assert await store.instances() == (RECORD,)
        assert await store.events(0, 10) == ((), 0)
        assert (await store.append_event(event())).seq == 1
