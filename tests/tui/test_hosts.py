"""Several hosts: each is followed, and what is done is done on the one that is shown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.fleet import Row
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.hosts import HostsScreen
from kwhost.tui.screens.instance import InstanceScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import Replay, interface, load, play, wait_for

FAR = Path("far.sock")


def far_away() -> dict[str, Any]:
    """The recorded daemon under other ids and another tenant."""
    transcript = load("busy")
    for status in transcript["answers"]["/v1/instances"]:
        status |= {"id": status["id"][::-1], "tenant": "remote"}
    transcript["answers"]["/v1/questions"] = []
    return transcript


@asynccontextmanager
async def two_hosts() -> AsyncIterator[tuple[KwhostApp, Pilot[None], Replay, Replay]]:
    far = Replay(far_away(), FAR)
    await far.start()
    try:
        async with interface(load("busy"), others={"far": FAR}) as (app, pilot, near):
            await wait_for(app.hosts["far"].fleet.rows, "the other host")
            yield app, pilot, near, far
    finally:
        await far.stop()


async def go_far(app: KwhostApp, pilot: Pilot[None]) -> None:
    await pilot.press("h")
    await wait_for(lambda: isinstance(app.screen, HostsScreen), "the hosts")
    await pilot.press("j", "enter")
    await wait_for(lambda: app.host.name == "far" and isinstance(app.screen, Overview), "the other host")


def test_another_host_is_chosen_by_a_key_and_the_first_one_is_followed_meanwhile() -> None:
    async def look() -> None:
        async with two_hosts() as (app, pilot, near, _):
            await go_far(app, pilot)
            assert isinstance(app.screen, Overview)
            await wait_for(lambda: app.screen.query_one("#instances", RowTable).rows, "its instances")
            assert {row.status.tenant for row in app.screen.table.rows if isinstance(row, Row)} == {"remote"}

            await near.stop()
            await wait_for(lambda: app.hosts["kwhost.sock"].trouble, "the other's trouble")
            assert not app.host.trouble

    play(look)


def test_what_is_done_is_done_on_the_host_that_is_shown() -> None:
    async def look() -> None:
        async with two_hosts() as (app, pilot, near, far):
            await go_far(app, pilot)
            await pilot.press("x")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: [each for each, _ in far.asked if each.startswith("POST")], "request")

            assert not [each for each, _ in near.asked if each.startswith("POST")]

    play(look)


async def open_everything(app: KwhostApp, pilot: Pilot[None]) -> RowTable[Any]:
    """The table of all hosts' instances, once those of each are in it."""
    await pilot.press("h")
    await wait_for(lambda: isinstance(app.screen, HostsScreen), "the hosts")
    everything = app.screen.query_one("#everything", RowTable)
    await wait_for(lambda: {each.host.name for each in everything.rows} == set(app.hosts), "both")
    return everything


def test_one_table_has_the_instances_of_all_and_leads_to_each() -> None:
    async def look() -> None:
        async with two_hosts() as (app, pilot, _, far):
            everything = await open_everything(app, pilot)
            assert len(everything.rows) == 2 * len(app.host.fleet.rows())

            everything.focus()
            await pilot.press("home", "enter")
            await wait_for(lambda: isinstance(app.screen, InstanceScreen), "the instance")
            assert app.host.name == "far"
            await wait_for(lambda: [each for each, _ in far.asked if "/logs" in each], "its log")

    play(look)


def test_in_the_table_of_all_keys_act_on_the_rows_own_host() -> None:
    async def look() -> None:
        async with two_hosts() as (app, pilot, near, far):
            everything = await open_everything(app, pilot)
            await pilot.press("x")
            assert isinstance(app.screen, HostsScreen)  # a host has the cursor, which is no instance

            everything.focus()
            await pilot.press("home")
            placed = everything.current
            assert placed
            await pilot.press("x")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            said = str(app.screen.query_one(".targets", Static).content)
            assert said == f"{placed.row.name} on far"
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: [each for each, _ in far.asked if each.startswith("POST")], "request")

            asked = next(each for each, _ in far.asked if each.startswith("POST"))
            assert asked == f"POST /v1/instances/{placed.row.key}/stop"
            assert not [each for each, _ in near.asked if each.startswith("POST")]

    play(look)


def test_the_palette_knows_hosts() -> None:
    async def look() -> None:
        async with two_hosts() as (app, _, _, _):
            assert "@far" in [command.title for command in app.get_system_commands(app.screen)]

    play(look)
