"""Instances without a virtual machine are told apart on every screen that shows them."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for

SIZES = ((140, 36), (80, 24))
# Keys that lead to a screen of the instance, the second in the list, and what tells that it is complete.
SCREENS: dict[str, tuple[str, Callable[[KwhostApp], object]]] = {
    "overview": ("", lambda _: True),
    "calls": ("j c", lambda app: app.screen.query_one("#call-table", RowTable).rows),
    "configuration": ("j enter shift+tab", lambda app: str(app.screen.query_one("#toml", Static).content)),
}


def in_a_container() -> dict[str, Any]:
    """As recorded, on a host that refuses namespaces."""
    found: dict[str, Any] = load("process")
    for status in found["answers"]["/v1/instances"]:
        if status["isolation"] == "process":
            status["protections"] = {
                "missing": {"mounts": "namespaces are refused here (EPERM)"},
                "weaker": {"network": "there is none, not even a loopback"},
            }
    return found


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should(name: str, snapshot: Callable[[str, str], None]) -> None:
    keys, complete = SCREENS[name]

    async def look() -> None:
        async with interface(in_a_container(), size=SIZES[0]) as (app, pilot, _):
            for key in keys.split():
                await pilot.press(key)
            await wait_for(lambda: complete(app), name)
            for columns, rows in SIZES:
                await pilot.resize_terminal(columns, rows)
                await pilot.pause()
                snapshot(f"process-{name}-{columns}x{rows}", app.export_screenshot())

    play(look)


def test_nobodys_counts_are_no_zeros() -> None:
    async def look() -> None:
        async with interface(load("process"), size=SIZES[0]) as (app, _, _):
            table = app.screen.query_one("#instances", RowTable)
            await wait_for(lambda: len(table.rows) == 2, "both instances")
            rates = {row.status.name: row.counts_calls for row in table.rows}
            assert rates == {"machine": True, "weaker": False}

    play(look)
