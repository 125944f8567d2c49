"""An instance's tabs under fast hands."""

import asyncio

import pytest
from textual.events import Key
from textual.widgets import TabbedContent

from tests.tui.replay import interface, load, play


@pytest.mark.parametrize("turns", [0, 3, 6, 12, 24])
def test_however_fast_tabs_are_passed_the_last_one_is_shown(turns: int) -> None:
    """`turns` of the event loop between one key and the next: the screen is not ready by then."""

    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("enter")
            for _ in range(4):
                app.post_message(Key("tab", None))
                for _ in range(turns):
                    await asyncio.sleep(0)
            await pilot.pause()

            assert app.screen.query_one(TabbedContent).active == "events"
            assert app.screen.query_one("#event-table").has_focus

    play(look)


def test_a_click_on_a_tab_shows_it() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("enter")
            await pilot.click(app.screen.query_one(TabbedContent).get_tab("policy"))
            await pilot.pause()

            assert app.screen.query_one(TabbedContent).active == "policy"
            assert app.screen.query_one("#rule-table").has_focus

    play(look)
