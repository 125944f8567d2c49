"""The tabs of processes and of memory."""

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for

KIB = 1 << 10


def of_first(transcript: dict[str, Any], operation: str) -> str:
    """The path of acme/web-1's."""
    found = next(each for each in transcript["answers"]["/v1/instances"] if each["name"] == "web-1")
    return f"/v1/instances/{found['id']}/{operation}"


async def open_tab(app: KwhostApp, pilot: Pilot[None], tabs: int, table: str) -> RowTable[Any]:
    await pilot.press("slash", *"web-1", "enter", "enter", *["tab"] * tabs)
    found = app.screen.query_one(f"#{table}", RowTable)
    await wait_for(lambda: found.rows, table)
    return found


def test_threads_are_those_of_the_process_with_the_cursor() -> None:
    transcript = load("busy")
    processes = transcript["answers"][of_first(transcript, "top")]
    processes.sort(key=lambda each: int(each["pid"]))
    for number, process in enumerate(processes):
        thread = {"state": "running", "cpu_seconds": 1.0}
        process["listed"] = [thread | {"tid": n, "name": f"worker-{number}-{n}"} for n in range(3)]

    async def look() -> None:
        async with interface(transcript) as (app, pilot, _):
            await open_tab(app, pilot, 5, "process-table")
            threads = app.screen.query_one("#thread-table", RowTable)
            assert [each.name for each in threads.rows] == ["worker-0-0", "worker-0-1", "worker-0-2"]

            await pilot.press("j", "w", "j")

            current = threads.current
            assert current
            assert (threads.has_focus, current.name) == (True, "worker-1-1")

    play(look)


def use(kind: str, kib: int) -> dict[str, Any]:
    numbers = dict.fromkeys(("size", "resident", "share", "written", "swapped"), kib * KIB)
    return numbers | {"kind": kind, "mappings": 3}


def test_what_is_the_instances_and_what_is_kwhosts_is_told_apart() -> None:
    transcript = load("busy")
    uses = [use("program", 100), use("anonymous", 300), use("monitor", 50)]
    process = {"pid": 7, "program": "/bin/x", "uses": uses, "page_tables": 10 * KIB, "cut": True}
    transcript["answers"][of_first(transcript, "memory")] = {
        "uses": uses, "page_tables": 10 * KIB, "processes": [process], "left_out": 4,
    }  # fmt: skip

    async def look() -> None:
        async with interface(transcript) as (app, pilot, _):
            await open_tab(app, pilot, 6, "memory-table")
            note = str(app.screen.query_one("#memory-note", Static).content)
            assert note.split("   ") == [
                "the instance's 400K",
                "kwhost's own 60K",
                "4 more processes are not in this",
                "1 with more mappings than are read",
            ]
            kinds = app.screen.query_one("#kind-table", RowTable).rows
            assert [(row.title, row.share // KIB) for row in kinds] == [
                ("program", 100),
                ("anonymous: heap, stacks", 300),
                ("kwhost: its monitor", 50),
                ("kwhost: page tables", 10),
            ]
            assert sum(row.part for row in kinds) == pytest.approx(1)

    play(look)
