"""Every screen looks as it did when somebody looked at it: two sizes, two themes."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from textual.widgets import Input, Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.widgets.header import QuestionLine
from kwhost.tui.widgets.log_view import LogView
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for

Condition = Callable[[KwhostApp], object]


class Screen(NamedTuple):
    """The keys that lead to it, and when it is complete."""

    keys: str
    complete: Condition = lambda _: True


def table(name: str) -> Condition:
    return lambda app: app.screen.query_one(f"#{name}", RowTable).rows


def all_happened(app: KwhostApp) -> bool:
    """The whole journal and the audit of the instance are there."""
    kinds = [row.kind.text for row in app.screen.query_one("#event-table", RowTable).rows]
    recorded = [event["data"]["name"] for event in load("busy")["streams"]["/v1/events"]]
    return len(kinds) - kinds.count("asked") == recorded.count("web-1") and "asked" in kinds


def all_counted(app: KwhostApp) -> object:
    """So are the calls and the refusals."""
    return table("call-table")(app) and table("refusal-table")(app)


def written_into(app: KwhostApp) -> bool:
    """A line has the keys, and the line of questions names none."""
    return isinstance(app.focused, Input) and "answers" not in str(app.screen.query_one(QuestionLine).content)


SCREENS = {
    "overview": Screen(""),
    "marked": Screen("space j space"),
    "tenants": Screen("f right"),
    "confirm": Screen("space j space x"),
    "logs": Screen("j enter", lambda app: len(app.screen.query_one(LogView).buffer.lines) == 60),
    "several": Screen("j space space L", lambda app: len(app.screen.query_one(LogView).buffer.lines) == 120),
    "calls": Screen("j c", all_counted),
    "policy": Screen("j enter tab tab", table("rule-table")),
    "network": Screen("enter tab tab tab", table("connection-table")),
    "events": Screen("j enter tab tab tab tab", all_happened),
    "processes": Screen("j enter tab tab tab tab tab", table("process-table")),
    "memory": Screen("j enter tab tab tab tab tab tab", table("memory-table")),
    "metrics": Screen("j enter shift+tab shift+tab plus"),
    "configuration": Screen(
        "j enter shift+tab", lambda app: str(app.screen.query_one("#toml", Static).content)
    ),
    "start": Screen("N", written_into),
    "start-filled": Screen(
        "N w e b + 1 enter enter s l e e p space 6 0 enter enter enter enter 8 0 : x", written_into
    ),
    "hosts": Screen("h", table("everything")),
    "prompt": Screen("E l s", lambda app: app.screen.query(Input)),
    "questions": Screen("a", table("questions")),
    "help": Screen("question_mark"),
}
SIZES = ((140, 36), (80, 24))


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should(name: str, snapshot: Callable[[str, str], None]) -> None:
    async def look() -> None:
        async with interface(load("busy"), size=SIZES[0]) as (app, pilot, _):
            for key in SCREENS[name].keys.split():
                await pilot.press(key)
            await wait_for(lambda: SCREENS[name].complete(app), name)
            for columns, rows in SIZES:
                await pilot.resize_terminal(columns, rows)
                for theme in ("dark", "light"):
                    app.theme = f"kwhost-{theme}"
                    await pilot.pause()
                    snapshot(f"{name}-{columns}x{rows}-{theme}", app.export_screenshot())

    play(look)
