"""System calls, refusals, the rules behind them and events, in front of a recorded daemon."""

import json

import pytest
from textual.widgets import Static, TabbedContent

from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for
from tests.tui.test_controls import changes


async def show_rmdir(app: KwhostApp) -> None:
    """Put the cursor on what refuses rmdir, in the table that has the keys."""
    table = app.focused
    assert isinstance(table, RowTable)
    await wait_for(lambda: table.rows, "rows")
    calls = [getattr(row, "call", None) or row.rule.call for row in table.rows]
    table.move_to(calls.index("rmdir"))


def test_enter_on_a_refusal_leads_to_the_rule_that_refused() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("j", "c")
            await wait_for(lambda: app.screen.query_one("#refusal-table", RowTable).rows, "refusals")
            await pilot.press("w", "enter")
            rules = app.screen.query_one("#rule-table", RowTable)
            await wait_for(lambda: rules.rows, "rules")
            await pilot.pause()

            assert app.screen.query_one(TabbedContent).active == "policy"
            assert rules.current is not None
            assert rules.current.rule.text == "errno:EPERM rmdir"

    play(look)


def test_enter_on_a_call_leads_to_the_rule_that_refused_it_most() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("j", "c")
            calls = app.screen.query_one("#call-table", RowTable)
            await wait_for(lambda: calls.rows, "calls")
            await pilot.press("enter")
            assert app.screen.query_one(TabbedContent).active == "calls"  # nothing refused this one

            calls.move_to([row.use.name for row in calls.rows].index("rmdir"))
            await pilot.press("enter")
            assert app.screen.query_one(TabbedContent).active == "policy"

    play(look)


def test_the_events_of_an_instance_begin_before_the_program_and_have_what_was_asked() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            app.host.events.clear()
            await pilot.press("j", "enter", "tab", "tab", "tab", "tab")
            table = app.screen.query_one("#event-table", RowTable)
            await wait_for(lambda: any(row.kind.text == "asked" for row in table.rows), "audit")
            await wait_for(lambda: any(row.kind.text == "created" for row in table.rows), "events")

            assert "root asked for POST /v1/instances/{ref}/pause: ok" in [row.text for row in table.rows]
            assert any("tail=1000" in asked for asked, _ in replay.asked)

    play(look)


def test_a_tab_goes_on_with_the_next_daemon() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "c")
            calls = app.screen.query_one("#call-table", RowTable)
            await wait_for(lambda: calls.rows, "calls")
            await replay.stop()
            await wait_for(lambda: app.host.trouble, "notice")
            calls.set_rows([])
            await replay.start()
            await wait_for(lambda: calls.rows, "calls again")

    play(look)


def test_who_may_not_see_the_audit_sees_the_events_and_why() -> None:
    async def look() -> None:
        transcript = load("busy")
        del transcript["answers"]["/v1/audit"]  # which the daemon refuses
        async with interface(transcript) as (app, pilot, _):
            await pilot.press("j", "enter", "tab", "tab", "tab", "tab")
            line = app.screen.query_one("#audit", Static)
            await wait_for(lambda: "Without what was asked of it: no /v1/audit" in str(line.content), "line")
            table = app.screen.query_one("#event-table", RowTable)
            await wait_for(lambda: table.rows, "events")

    play(look)


@pytest.mark.parametrize(
    ("key", "word", "action"), [("A", "allow", "allow"), ("X", "deny", "deny"), ("B", "as-before", None)]
)
@pytest.mark.parametrize("place", ["j c w", "j enter tab tab"])
def test_a_call_is_allowed_or_denied_once_that_is_confirmed(
    place: str, key: str, word: str, action: str | None
) -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press(*place.split())
            await show_rmdir(app)
            await pilot.press(key)
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            shown = [str(each.content) for each in app.screen.query(Static)]
            assert f"$ kwhost policy set acme/web-1 rmdir {word}" in shown
            await pilot.press("enter")
            await pilot.pause()
            assert changes(replay) == []

            await pilot.press(key)
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            await pilot.press("right", "enter")
            await wait_for(lambda: changes(replay), "request")
            ((path, body),) = changes(replay)
            assert path.startswith("PUT /v1/instances/")
            assert path.endswith("/policy/rules")
            assert json.loads(body) == {"call": "rmdir", "action": action}

    play(look)


def test_what_the_daemon_says_against_it_is_shown() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "c", "w")
            await show_rmdir(app)
            await pilot.press("A")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            await replay.stop()
            await pilot.press("right", "enter")
            await wait_for(lambda: any("Not allow: rmdir" in n.title for n in app._notifications), "notice")

    play(look)


def test_a_rule_that_is_not_about_one_call_cannot_be_changed_by_a_key() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "enter", "tab", "tab")
            rules = app.screen.query_one("#rule-table", RowTable)
            await wait_for(lambda: rules.rows, "rules")
            rules.move_to(next(n for n, row in enumerate(rules.rows) if "default" in row.rule.text))
            await pilot.press("A", "X")
            assert not isinstance(app.screen, Confirm)
            assert changes(replay) == []

    play(look)


def test_read_only_means_that_no_call_is_allowed() -> None:
    async def look() -> None:
        async with interface(load("busy"), read_only=True) as (app, pilot, _):
            await pilot.press("j", "c")
            await wait_for(lambda: app.screen.query_one("#call-table", RowTable).rows, "calls")
            await pilot.press("A", "X", "B")
            assert not isinstance(app.screen, Confirm)

    play(look)


def test_on_a_small_screen_the_calls_have_the_room() -> None:
    async def look() -> None:
        async with interface(load("busy"), size=(60, 20)) as (app, pilot, _):
            await pilot.press("j", "c")
            await wait_for(lambda: app.screen.query("#call-table"), "calls")
            await pilot.pause()

            table = app.screen.query_one("#call-table")
            await wait_for(lambda: table.size.height >= 6, "room for calls")
            assert not app.screen.query_one("#latency").display

    play(look)
