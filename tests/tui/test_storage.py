"""The tab of an instance's files, and the screens of images and volumes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from textual.widgets import Button, Input, Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.images import ImagesScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.screens.prompt import Prompt
from kwhost.tui.screens.start import StartScreen
from kwhost.tui.screens.volumes import VolumesScreen
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import Replay, interface, load, play, wait_for

SIZES = ((140, 36), (80, 24))
TAB = "enter tab tab tab tab tab tab tab"


def table(app: KwhostApp, name: str) -> RowTable[Any]:
    return app.screen.query_one(f"#{name}", RowTable)


def full(name: str) -> Callable[[KwhostApp], object]:
    return lambda app: table(app, name).rows


def used(app: KwhostApp) -> object:
    return "40M" in str(app.screen.query_one("#detail", Static).content)


def written_into(app: KwhostApp) -> object:
    """The form knows the image."""
    lines = {line.placeholder for line in app.screen.query(Input)}
    return isinstance(app.focused, Input) and any("the image's" in line for line in lines)


# Keys that lead to a screen, and what makes it complete.
SCREENS = {
    "storage": (TAB, full("mount-table")),
    "storage-host": (f"j {TAB}", full("mount-table")),
    "images": ("I j j", full("images")),
    "image": ("I j j enter", lambda app: app.screen.query("#about")),
    "prune": ("I j X", lambda app: isinstance(app.screen, Confirm)),
    "pull": ("I p x", lambda app: isinstance(app.screen, Prompt)),
    "volumes": ("V j", used),
    "start-image": ("I j N", written_into),
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should(name: str, snapshot: Callable[[str, str], None]) -> None:
    keys, complete = SCREENS[name]

    async def look() -> None:
        async with interface(load("images"), size=SIZES[0]) as (app, pilot, _):
            first, *others = keys.split()
            await pilot.press(first)
            if first in "IV":
                await wait_for(lambda: full("images" if first == "I" else "volumes")(app), "the list")
            for key in others:
                await pilot.press(key)
            await wait_for(lambda: complete(app), name)
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


def removal_of(transcript: Any, name: str) -> str:
    """The request that forgets a name of acme's, of this image alone: the name may come to mean another."""
    digest = next(each["digest"] for each in transcript["answers"]["/v1/images"] if each["name"] == name)
    return f"DELETE /v1/images/{quote(f'{name}@{digest}', safe='')}?tenant=acme"


def changes(replay: Replay) -> list[str]:
    """The requests that were no mere looking."""
    return [asked for asked, _ in replay.asked if not asked.startswith("GET ")]


def test_an_image_is_removed_once_that_is_confirmed_and_gone_at_once() -> None:
    transcript = load("images")
    images = transcript["answers"]["/v1/images"]
    removal = removal_of(transcript, "shop:1")

    async def look() -> None:
        async with interface(transcript) as (app, pilot, replay):
            found = await open_images(app, pilot)
            await pilot.press("j", "D")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")
            assert changes(replay) == []
            images[:] = [image for image in images if image["name"] != "shop:1"]
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: len(found.rows) == 2, "the list without it")

            assert changes(replay) == [removal]

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


def test_of_an_image_that_is_gone_already_nothing_more_is_told() -> None:
    transcript = load("images")
    for path in [path for path in transcript["answers"] if path.startswith("/v1/images/")]:
        del transcript["answers"][path]

    async def look() -> None:
        async with interface(transcript) as (app, pilot, _):
            await open_images(app, pilot)
            await pilot.press("j", "enter")
            detail = app.screen.query_one("#detail", Static)
            await wait_for(lambda: "no /v1/images/shop" in str(detail.content), "the error")

            assert isinstance(app.screen, ImagesScreen)

    play(look)


def test_no_key_changes_images_in_read_only_mode() -> None:
    async def look() -> None:
        async with interface(load("images"), read_only=True) as (app, pilot, replay):
            await open_images(app, pilot)
            await pilot.press("D", "X", "l", "p", "i", "N", "escape")
            await wait_for(lambda: isinstance(app.screen, Overview), "the overview")

            assert changes(replay) == []

    play(look)


def test_what_goes_is_asked_before_images_are_pruned() -> None:
    transcript = load("images")
    removal = removal_of(transcript, "shop:1")

    async def look() -> None:
        async with interface(transcript) as (app, pilot, replay):
            await open_images(app, pilot)
            await pilot.press("j", "X")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")
            told = "".join(str(each.content) for each in app.screen.query(Static))
            assert "kwhost image rm --tenant acme shop:1" in told
            assert "shop:2" not in told, "an instance has it"

            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: changes(replay), "the request")
            assert changes(replay) == [removal]

    play(look)


def test_an_instance_of_an_image_needs_no_command() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, replay):
            replay.changes["POST /v1/instances"] = replay.answers["/v1/instances"][0]
            await open_images(app, pilot)
            await pilot.press("j", "N")
            await wait_for(lambda: isinstance(app.screen, StartScreen), "the form")
            await pilot.press(*"shop", "ctrl+s")
            await wait_for(lambda: len(bodies(replay)) == 1, "the start")

            (body,) = bodies(replay)
            assert (body["tenant"], body["image"], body["command"]) == ("acme", "shop:1", [])

    play(look)


def bodies(replay: Replay) -> list[Any]:
    """What came with the requests that were no mere looking."""
    return [json.loads(body) for asked, body in replay.asked if not asked.startswith("GET ")]


async def open_volumes(app: KwhostApp, pilot: Any) -> RowTable[Any]:
    await pilot.press("V")
    await wait_for(
        lambda: isinstance(app.screen, VolumesScreen) and table(app, "volumes").rows, "the volumes"
    )
    return table(app, "volumes")


def test_a_volume_is_made_of_a_line() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, replay):
            await open_volumes(app, pilot)
            await pilot.press("n", *"more", "space", *"--size=1G", "enter")
            await wait_for(lambda: changes(replay), "the request")

            assert changes(replay) == ["POST /v1/volumes?tenant=acme"]
            assert bodies(replay) == [{"name": "more", "size": 1 << 30}]

    play(look)


def test_a_volume_is_removed_once_that_is_confirmed() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, replay):
            await open_volumes(app, pilot)
            await pilot.press("D")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")
            assert changes(replay) == []
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: changes(replay), "the request")

            assert changes(replay) == ["DELETE /v1/volumes/archive?tenant=acme"]

    play(look)


def test_only_volumes_that_no_instance_has_are_pruned() -> None:
    async def look() -> None:
        async with interface(load("images")) as (app, pilot, _):
            await open_volumes(app, pilot)
            await pilot.press("X")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")

            told = "".join(str(each.content) for each in app.screen.query(Static))
            assert "kwhost volume rm --tenant acme archive" in told
            assert "orders" not in told

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


def test_a_file_that_goes_while_its_name_is_written_is_an_error(tmp_path: Path) -> None:
    archive = tmp_path / "app.tar"
    archive.touch()

    async def enter() -> None:
        async with interface(load("images"), size=SIZES[0]) as (app, pilot, _):
            await open_images(app, pilot)
            await pilot.press("l")
            await wait_for(lambda: isinstance(app.screen, Prompt), "the question")
            app.screen.query_one(Input).value = str(archive)
            await pilot.pause()
            archive.unlink()
            await pilot.press("enter")
            await wait_for(lambda: isinstance(app.screen, ImagesScreen), "the list")
            await pilot.pause()
            (told,) = app._notifications
            assert (told.message, told.severity) == (f"there is no {archive} here", "error")

    play(enter)
