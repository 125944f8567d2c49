"""The overview by tenant."""

from collections.abc import Callable
from typing import Any

from kwhost.tui.app import KwhostApp
from kwhost.tui.fleet import Row
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.instance import InstanceScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.tenants import TenantRow
from kwhost.tui.widgets.instances import InstanceTable
from tests.tui.replay import interface, load, play, wait_for
from tests.tui.test_hostile import EVIL, assert_harmless, drawn
from tests.tui.test_many import INSTANCES, many

Look = Callable[[KwhostApp, Any, Any], Any]


def table(app: KwhostApp) -> InstanceTable:
    assert isinstance(app.screen, Overview)
    return app.screen.table


def shown(app: KwhostApp) -> list[str]:
    return [f"[{row.tenant}]" if isinstance(row, TenantRow) else row.status.name for row in table(app).rows]


def played(look: Look, transcript: Any = None) -> None:
    async def run() -> None:
        async with interface(transcript or load("busy"), size=(140, 36)) as (app, pilot, replay):
            await look(app, pilot, replay)

    play(run)


def test_a_key_shows_tenants_which_open_and_close() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f")
        assert shown(app) == ["[acme]", "[beta]"]
        await pilot.press("enter")
        assert shown(app) == ["[acme]", "asker", "web-1", "web-2", "[beta]"]
        await pilot.press("G", "right", "j", "j")
        assert shown(app)[-3:] == ["[beta]", "busy", "oops"]
        await pilot.press("left")
        assert shown(app)[-1] == "[beta]"
        assert table(app).current == table(app).rows[-1]
        await pilot.press("f")
        assert shown(app) == ["asker", "web-1", "web-2", "busy", "oops"]

    played(look)


def test_a_tenants_row_has_the_sums_of_its_instances() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        rows = [row for row in app.host.fleet.rows() if row.status.tenant == "acme"]
        await pilot.press("f")
        tenant = table(app).rows[0]

        assert isinstance(tenant, TenantRow)
        assert tenant.total("calls") == sum(row.calls or 0 for row in rows) > 0
        assert tenant.memory == sum(row.usage.memory or 0 for row in rows) > 0
        assert (tenant.running, len(tenant.rows)) == (3, 3)

    played(look)


def test_tenants_are_sorted_and_their_instances_within_them() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f", "right", "G", "right", "O")
        assert shown(app) == ["[beta]", "oops", "busy", "[acme]", "web-2", "web-1", "asker"]
        calls = next(column for column in table(app)._columns if column.title == "calls/s")
        table(app).sort_by(calls)

        for tenant in (row for row in table(app).rows if isinstance(row, TenantRow)):
            place = table(app).rows.index(tenant) + 1
            own = table(app).rows[place : place + len(tenant.rows)]
            rates = [row.calls or 0.0 for row in own if isinstance(row, Row)]
            assert rates == sorted(rates, reverse=True)
            assert len(rates) == len(tenant.rows)

    played(look)


def test_the_filter_chooses_instances_and_with_them_tenants() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f", "slash", *"web", "enter", "right")

        assert shown(app) == ["[acme]", "web-1", "web-2"]

    played(look)


def test_keys_that_change_something_mean_instances_never_a_tenant() -> None:
    async def look(app: KwhostApp, pilot: Any, replay: Any) -> None:
        await pilot.press("f", "x", "p", "K", "e", "L")
        assert isinstance(app.screen, Overview)
        assert not [asked for asked, _ in replay.asked if asked.startswith("POST")]

        await pilot.press("space", "x")
        await wait_for(lambda: isinstance(app.screen, Confirm), "the question")

    played(look)


def test_a_mark_on_a_tenant_marks_its_instances_where_one_sees_them() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f", "space")
        assert [row.status.name for row in table(app).chosen_instances] == ["asker", "web-1", "web-2"]
        await pilot.press("space")
        assert table(app).marked == set()

        await pilot.press("ctrl+a", "left")
        assert table(app).chosen_instances == []

    played(look)


def test_an_instance_below_its_tenant_opens() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f", "right", "j", "j", "enter")
        await wait_for(lambda: isinstance(app.screen, InstanceScreen), "the instance")

    played(look)


def test_a_hostile_tenants_name_is_harmless() -> None:
    transcript = load("busy")
    for each in transcript["answers"]["/v1/instances"]:
        each["tenant"] = EVIL

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f")
        assert_harmless(await drawn(app, pilot))

    played(look, transcript)


def test_a_thousand_instances_of_a_tenant_are_one_row() -> None:
    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await pilot.press("f")
        assert len(table(app).rows) == 1
        await pilot.press("right", "G")
        assert len(table(app).rows) == INSTANCES + 1

    played(look, many())
