"""System calls, refusals, the rules behind them and events, in front of a recorded daemon."""

from textual.widgets import Static, TabbedContent

from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for


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
