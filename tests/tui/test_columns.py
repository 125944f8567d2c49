"""Columns of plugins: what they show, and that one that misbehaves is a line and an empty column."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kwhost import hookspecs
from kwhost.hookspecs import TuiCell, TuiFleet, TuiInstanceColumn, TuiTone
from kwhost.tui import columns
from kwhost.tui.app import KwhostApp
from kwhost.tui.panels import FoundPanels
from kwhost.tui.screens.overview import Overview
from tests.tui.replay import interface, load, play, wait_for
from tests.tui.test_hostile import EVIL, assert_harmless, drawn

Look = Callable[[KwhostApp, Any, Any], Any]


def column(read: Callable[[TuiFleet], Any], title: str = "mood", name: str = "mood") -> TuiInstanceColumn:
    return TuiInstanceColumn(name=name, title=title, width=6, read=read)


def played(look: Look, *found: TuiInstanceColumn) -> None:
    async def find() -> FoundPanels:
        return FoundPanels(columns=found)

    async def run() -> None:
        async with interface(load("busy"), size=(150, 36), panels=find) as (app, pilot, replay):
            await look(app, pilot, replay)

    play(run)


def notices(app: KwhostApp) -> list[str]:
    return [notice.message for notice in app._notifications]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_SECONDS", 0.01)


def test_a_plugins_column_has_a_cell_for_each_instance_that_it_knows() -> None:
    def read(fleet: TuiFleet) -> Any:
        named = {str(status.name): status.id for status in fleet.instances}
        return {named["web-1"]: TuiCell("merry", TuiTone.GOOD), named["web-2"]: "sad", "gone": "never"}

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: app.host.columns and app.host.columns[0].cells, "cells")
        text = await drawn(app, pilot)

        assert "MOOD" in text
        assert all(word in text for word in ("merry", "sad"))
        assert "never" not in text

    played(look, column(read))


def test_the_overview_is_sorted_by_it_and_its_numbers_are_numbers() -> None:
    def read(fleet: TuiFleet) -> Any:
        values = {"web-1": "9.5", "web-2": "10.5", "busy": "text"}
        return {status.id: values[status.name] for status in fleet.instances if status.name in values}

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: app.host.columns and app.host.columns[0].cells, "cells")
        await drawn(app, pilot)
        assert isinstance(app.screen, Overview)
        table = app.screen.table
        table.sort_by(table._columns[-1])

        assert [row.name for row in table.rows if row.name][-3:] == ["beta/busy", "acme/web-1", "acme/web-2"]  # type: ignore[union-attr]

    played(look, column(read))


class Trap(Mapping[Any, Any]):
    """Its own code runs wherever it is looked at."""

    def __getitem__(self, _: object) -> Any:
        raise SystemExit(EVIL)

    def __iter__(self) -> Iterator[Any]:
        raise SystemExit(EVIL)

    def __len__(self) -> int:
        raise SystemExit(EVIL)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "NoneType, not a mapping"),
        ([("a", "b")], "list, not a mapping"),
        ("each 1", "a cell is int"),
        ("each bytes", "text is bytes"),
        (Trap(), "SystemExit"),
        (ValueError(EVIL), "ValueError"),
    ],
)
def test_a_column_that_makes_no_sense_is_said_and_soon_not_asked_any_more(answer: Any, said: str) -> None:
    asked = []

    def read(fleet: TuiFleet) -> Any:
        asked.append(fleet)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            wrong: Any = 1 if answer == "each 1" else TuiCell(b"x")  # type: ignore[arg-type]
            return {status.id: wrong for status in fleet.instances}
        return answer

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: any("asked no more" in line for line in notices(app)), "the end")

        assert said in notices(app)[0]
        assert (len(notices(app)), len(asked)) == (2, 3)
        assert_harmless(await drawn(app, pilot))

    played(look, column(read))


def test_a_column_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hookspecs, "DEADLINE_SECONDS", 0.2)
    goes_on = threading.Event()

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: app.host.columns, "the column")
        await pilot.press("j", "j", "f", "f")
        await wait_for(lambda: any("no answer within" in line for line in notices(app)), "the line")

    try:
        played(look, column(lambda _: goes_on.wait()))
    finally:
        goes_on.set()


def test_it_is_asked_only_while_it_is_seen() -> None:
    asked: list[TuiFleet] = []

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: asked, "the first question")
        await pilot.press("enter")
        await wait_for(lambda: not isinstance(app.screen, Overview), "the instance")
        await wait_for(lambda: app.host.columns[0].cells, "the answer under way")
        before = len(asked)
        for _ in range(20):
            await pilot.pause(0.01)
        assert len(asked) <= before + 1

        await pilot.press("escape")
        await wait_for(lambda: len(asked) > before + 1, "another question")

    def read(fleet: TuiFleet) -> Any:
        asked.append(fleet)
        return {status.id: "x" for status in fleet.instances}

    played(look, column(read))


def test_what_a_column_shows_cannot_act_on_the_terminal_and_no_more_are_shown_than_there_is_room() -> None:
    def read(fleet: TuiFleet) -> Any:
        return {status.id: EVIL for status in fleet.instances}

    async def look(app: KwhostApp, pilot: Any, _: Any) -> None:
        await wait_for(lambda: app.host.columns and app.host.columns[0].cells, "cells")
        assert_harmless(await drawn(app, pilot))
        assert len(app.host.columns) == columns.COLUMNS_MAX

    played(look, *(column(read, "[b]m[/b]", f"m{number}") for number in range(9)))
