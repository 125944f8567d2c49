"""System calls, refusals and the rules behind them, in front of a recorded daemon."""

from textual.widgets import TabbedContent

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
