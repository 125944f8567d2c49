"""Tabs of plugins: what they show, and that one that misbehaves is one line."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from textual.widgets import Static

from kwhost.hookspecs import TuiCell, TuiColumn, TuiPanel, TuiSource, TuiTone
from kwhost.tui.app import KwhostApp
from kwhost.tui.panels import FoundPanels
from kwhost.tui.panes import plugin
from kwhost.tui.panes.plugin import PluginPane
from kwhost.tui.widgets.table import RowTable
from tests.patience import SECONDS
from tests.tui.replay import interface, load, play, wait_for
from tests.tui.test_hostile import EVIL, assert_harmless, drawn

Read = Callable[[TuiSource], Any]


def panel(read: Read, title: str = "Sample") -> TuiPanel:
    columns = (TuiColumn("what", 20), TuiColumn("value", 0))
    return TuiPanel(name="sample", title=title, columns=columns, read=read)


def finds(*found: TuiPanel, failures: Sequence[str] = ()) -> Any:
    async def find() -> FoundPanels:
        return FoundPanels(found, failures)

    return find


def rows(app: KwhostApp) -> Sequence[Any]:
    found = app.screen.query(PluginPane)
    return found.first().query_one(RowTable).rows if found else ()


def trouble(app: KwhostApp) -> str:
    found = app.screen.query(PluginPane)
    return str(found.first().query_one(Static).content) if found else ""


def test_a_plugins_tab_shows_what_it_reads_of_the_instance() -> None:
    async def look() -> None:
        def read(source: TuiSource) -> Any:
            return [("name", source.instance.name), (TuiCell("at", TuiTone.GOOD), str(source.socket))]

        async with interface(load("busy"), panels=finds(panel(read))) as (app, pilot, _):
            await wait_for(lambda: app.host.panels, "the panel")
            await pilot.press("j", "enter", "shift+tab")
            await wait_for(lambda: rows(app), "its rows")

            assert [[cell.text for cell in row] for _, row in rows(app)] == [
                ["name", "web-1"],
                ["at", "kwhost.sock"],
            ]

    play(look)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "NoneType"),
        ([("one",)], "1 cells"),
        (["ab"], "not a list or tuple"),
        ([(1, 2)], "a cell is int"),
        ([(TuiCell(b"x"), "y")], "text is bytes"),  # type: ignore[arg-type]
        ([("a", "b")] * 3000, "3000 entries"),
        (ValueError(EVIL), "ValueError"),
        (SystemExit(1), "SystemExit"),
    ],
)
def test_a_panel_that_makes_no_sense_is_one_line(answer: object, said: str) -> None:
    async def look() -> None:
        def read(_: TuiSource) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        async with interface(load("busy"), panels=finds(panel(read))) as (app, pilot, _):
            await wait_for(lambda: app.host.panels, "the panel")
            await pilot.press("enter", "shift+tab")
            await wait_for(lambda: said in trouble(app), "the line")

            assert not rows(app)
            assert_harmless(await drawn(app, pilot))

    play(look)


def test_a_panel_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "DEADLINE_SECONDS", 0.2)
    goes_on = threading.Event()

    async def look() -> None:
        def read(_: TuiSource) -> Any:
            goes_on.wait()

        async with interface(load("busy"), panels=finds(panel(read))) as (app, pilot, _):
            await wait_for(lambda: app.host.panels, "the panel")
            await pilot.press("enter", "shift+tab")
            async with asyncio.timeout(SECONDS):
                await pilot.press("escape", "enter", "shift+tab")
            await wait_for(lambda: "no answer within" in trouble(app), "the line")

    try:
        play(look)
    finally:
        goes_on.set()


def test_what_a_panel_shows_cannot_act_on_the_terminal() -> None:
    async def look() -> None:
        async with interface(load("busy"), panels=finds(panel(lambda _: [(EVIL, EVIL)], "[b]T[/b]"))) as (
            app,
            pilot,
            _,
        ):
            await wait_for(lambda: app.host.panels, "the panel")
            await pilot.press("enter", "shift+tab")
            await wait_for(lambda: rows(app), "its rows")

            text = await drawn(app, pilot)
            assert_harmless(text)
            assert "[b]T[/b]" in text

    play(look)


def test_a_plugin_that_cannot_be_loaded_is_said() -> None:
    async def look() -> None:
        async with interface(load("busy"), panels=finds(failures=["plugin x: broken"])) as (app, _, _):
            await wait_for(lambda: [n.message for n in app._notifications] == ["plugin x: broken"], "notice")

    play(look)
