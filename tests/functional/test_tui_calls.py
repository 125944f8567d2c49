"""System calls, rules and events in the terminal interface, with a real daemon and a real instance."""

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import TabbedContent

from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.widgets.table import RowTable
from tests.functional.hosting import StartDaemon
from tests.functional.test_daemon_policies import configuration, no_mkdir, wait_logged
from tests.functional.test_tui import open_app, row
from tests.tui.replay import Hands, play, wait_for

pytestmark = pytest.mark.kvm


async def shown(app: KwhostApp, name: str) -> RowTable[Any]:
    await wait_for(lambda: app.screen.query(f"#{name}"), name)
    table: RowTable[Any] = app.screen.query_one(f"#{name}", RowTable)
    await wait_for(lambda: table.rows, f"rows of {name}")
    return table


async def open_calls(app: KwhostApp, pilot: Pilot[None]) -> None:
    await wait_for(lambda: row(app, "acme/job") == "running", "running")
    await pilot.press("c")
    await shown(app, "call-table")


def test_what_a_rule_refuses_is_found_and_allowed_with_a_few_keys(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("own"), instance="own"))

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await open_calls(app, pilot)
            await shown(app, "refusal-table")
            await pilot.press("w", "enter")
            assert app.screen.query_one(TabbedContent).active == "policy"
            rules = await shown(app, "rule-table")
            await wait_for(lambda: rules.current and rules.current.rule.call == "mkdir", "the rule")
            await pilot.press("A")
            await wait_for(lambda: isinstance(app.screen, Confirm), "the question")
            await pilot.press("right", "enter")
            await wait_for(lambda: "allow mkdir" in [each.rule.text for each in rules.rows], "the new rule")

    play(look)
    wait_logged(daemon, "made no", "file yes", "made yes")


def test_latencies_are_shown_of_calls_that_were_made(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("own"), instance="own"))

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(140, 40)):
            pilot = Hands(app)
            await open_calls(app, pilot)
            calls = await shown(app, "call-table")
            await wait_for(lambda: "mkdir" in [each.use.name for each in calls.rows], "the call")
            mkdir = next(each for each in calls.rows if each.use.name == "mkdir")
            assert mkdir.p99 >= mkdir.p50 > 0
            assert sum(mkdir.use.histogram) > 0

    play(look)


def test_events_from_before_and_what_was_asked_are_seen(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("own"), instance="own"))
    wait_logged(daemon, "made no", "file yes")
    assert daemon.run("pause", "job").returncode == 0
    assert daemon.run("resume", "job").returncode == 0

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await open_calls(app, pilot)
            await pilot.press(*["tab"] * 3)
            table = await shown(app, "event-table")
            wanted = {"created", "started", "paused", "resumed", "asked"}
            await wait_for(lambda: wanted <= {each.kind.text for each in table.rows}, "events")

    play(look)
