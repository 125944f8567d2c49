"""A thousand instances: nothing takes longer than somebody would notice."""

import copy
import time
from typing import Any

from textual.pilot import Pilot

from kwhost.tui.app import KwhostApp
from kwhost.tui.log_buffer import LINES_MAX, LogBuffer
from kwhost.tui.panes.log_reader import LogReader, _Arrived
from kwhost.tui.screens.overview import Overview
from tests.tui.replay import interface, load, play, wait_for

INSTANCES = 1000
# A generous bound for a busy machine; it is some tens of milliseconds.
_SECONDS = 1.0


def many() -> dict[str, Any]:
    transcript = load("busy")
    status = next(each for each in transcript["answers"]["/v1/instances"] if each["name"] == "busy")
    use = next(each for each in transcript["streams"]["/v1/stats"][0]["data"] if each["name"] == "busy")
    names = [{"id": f"{number:012x}", "name": f"worker-{number}"} for number in range(INSTANCES)]
    transcript["answers"]["/v1/instances"] = [status | name for name in names]
    events = []
    for second in range(3):
        uses = [copy.deepcopy(use | name) for name in names]
        for number, each in enumerate(uses):
            each["usage"]["cpu_seconds"] = second * (number % 100) / 100
        events.append({"name": "stats", "id": None, "data": uses})
    transcript["streams"]["/v1/stats"] = events
    return transcript


async def _timed(app: KwhostApp, pilot: Pilot[None], *keys: str) -> float:
    before = time.process_time()
    await pilot.press(*keys)
    await pilot.pause()
    assert isinstance(app.screen, Overview)
    return time.process_time() - before


def test_all_of_them_are_listed_sorted_and_steered_at_once() -> None:
    async def look() -> None:
        async with interface(many(), size=(140, 36)) as (app, pilot, _):
            assert isinstance(app.screen, Overview)
            assert len(app.screen.table.rows) == INSTANCES

            assert await _timed(app, pilot, "G") < _SECONDS
            assert await _timed(app, pilot, "o") < _SECONDS
            assert await _timed(app, pilot, "ctrl+a") < _SECONDS
            assert len(app.screen.table.chosen) == INSTANCES

    play(look)


def test_an_update_of_all_costs_a_fraction_of_a_second() -> None:
    async def look() -> None:
        async with interface(many(), size=(140, 36)) as (app, _, _replay):
            before = time.process_time()
            for _ in range(10):
                app.screen.show_state()  # type: ignore[attr-defined]

            assert (time.process_time() - before) / 10 < 0.1

    play(look)


def test_what_is_read_stays_where_it_is_while_lines_come() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("enter")
            await wait_for(lambda: app.screen.query(LogReader), "the log")
            reader = app.screen.query_one(LogReader)
            view = reader.view

            async def come(first: int) -> None:
                for number in range(first, first + LINES_MAX):
                    reader._arrived.append(
                        _Arrived(0.0, "stdout", f"line {number}", partial=False, source="")
                    )
                await wait_for(lambda: not reader._arrived, "the lines")
                await pilot.pause()

            await come(0)
            await pilot.press("f", "pageup", "pageup")
            await wait_for(lambda: not view.following, "a stop")
            await pilot.pause()
            seen = view.render_line(0).text
            await come(LINES_MAX)
            assert view.render_line(0).text == seen
            await come(2 * LINES_MAX)
            assert view.render_line(0).text == seen
            assert len(view.buffer.lines) <= LINES_MAX

            await pilot.press("f")
            await come(3 * LINES_MAX)
            assert "line 79999" in view.render_line(view.size.height - 1).text

    play(look)


def test_a_flood_of_lines_stays_in_its_bounds() -> None:
    buffer = LogBuffer()
    before = time.process_time()
    for number in range(100_000):
        buffer.add(number, "stdout", "GET /item 200 of a program that writes and writes and writes")

    assert len(buffer.lines) == LINES_MAX
    assert time.process_time() - before < _SECONDS
