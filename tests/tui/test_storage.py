"""The tab of an instance's files, and the screen of images."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Button, Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.images import ImagesScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import Replay, interface, load, play, wait_for

SIZES = ((140, 36), (80, 24))
TAB = "enter tab tab tab tab tab tab tab"


def table(app: KwhostApp, name: str) -> RowTable[Any]:
    return app.screen.query_one(f"#{name}", RowTable)


# Keys that lead to a screen, and the table that makes it complete.
SCREENS = {
    "storage": (TAB, "mount-table"),
    "storage-host": (f"j {TAB}", "mount-table"),
    "images": ("I j j", "images"),
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should(name: str, snapshot: Callable[[str, str], None]) -> None:
    keys, complete = SCREENS[name]

    async def look() -> None:
        async with interface(load("images"), size=SIZES[0]) as (app, pilot, _):
            first, *others = keys.split()
            await pilot.press(first)
            await wait_for(lambda: first != "I" or table(app, complete).rows, "the images")
            for key in others:
                await pilot.press(key)
            await wait_for(lambda: table(app, complete).rows, name)
            for columns, rows in SIZES:
                await pilot.resize_terminal(columns, rows)
                for theme in ("dark", "light"):
                    app.theme = f"kwhost-{theme}"
                    await pilot.pause()
                    snapshot(f"{name}-{columns}x{rows}-{theme}", app.export_screenshot())

    play(look)


async def open_images(app: KwhostApp, pilot: Any) -> RowTable[Any]:
    await pilot.press("I")
    await wait_for(lambda: isinstance(app.screen, ImagesScreen) and table(app, "images").rows, "the images")
    return table(app, "images")


def changes(replay: Replay) -> list[str]:
    """The requests that were no mere looking."""
    return [asked for asked, _ in replay.asked if not asked.startswith("GET ")]


def test_an_image_is_removed_once_that_is_confirmed_and_gone_at_once() -> None:
    transcript = load("images")
    images = transcript["answers"]["/v1/images"]

    async def look() -> None:
        async with interface(transcript) as (app, pilot, replay):
            found = await open_images(app, pilot)
            await pilot.press("j", "D")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")
            assert changes(replay) == []
            images[:] = [image for image in images if image["name"] != "shop:1"]
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: len(found.rows) == 2, "the list without it")

            assert changes(replay) == ["DELETE /v1/images/shop%3A1?tenant=acme"]

    play(look)


def test_an_image_stays_where_the_answer_is_no() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, replay):
            await open_images(app, pilot)
            await pilot.press("D", "enter")
            await wait_for(lambda: isinstance(app.screen, ImagesScreen), "the list")

            assert changes(replay) == []

    play(look)


def test_what_instances_have_is_told_before_it_is_removed() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, _):
            await open_images(app, pilot)
            await pilot.press("j", "j", "D")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")

            told = "".join(str(each.content) for each in app.screen.query(Static))
            assert "Instances have it: only its name goes" in told
            assert "kwhost image rm --tenant acme shop:2" in told

    play(look)


def test_no_key_removes_an_image_in_read_only_mode() -> None:
    async def look() -> None:
        async with interface(load("images"), read_only=True) as (app, pilot, replay):
            await open_images(app, pilot)
            await pilot.press("D", "enter", "escape")
            await wait_for(lambda: isinstance(app.screen, Overview), "the overview")

            assert changes(replay) == []

    play(look)


def test_an_instance_that_does_not_run_shows_its_image_alone() -> None:
    transcript = load("images")
    app_id = next(each["id"] for each in transcript["answers"]["/v1/instances"] if each["name"] == "app")
    transcript["answers"][f"/v1/instances/{app_id}/storage"]["mounts"] = []

    async def look() -> None:
        async with interface(transcript) as (app, pilot, _):
            await pilot.press(*TAB.split())
            await wait_for(lambda: table(app, "layer-table").rows, "the layers")

            assert table(app, "mount-table").rows == []
            assert "image shop:2" in str(app.screen.query_one("#storage-image", Static).content)

    play(look)
