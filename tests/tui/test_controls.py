"""What keys do, in front of a recorded daemon."""

import json
from typing import Any

import pytest
from textual.widgets import Button, Input, Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.fleet import Row
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.console import Console
from kwhost.tui.screens.help import Help
from kwhost.tui.screens.logs import LogsScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.screens.prompt import Prompt
from kwhost.tui.screens.questions import Questions
from kwhost.tui.screens.start import StartScreen
from kwhost.tui.widgets.key_line import KeyLine
from kwhost.tui.widgets.log_view import LogView
from tests.tui.replay import Replay, interface, load, play, wait_for


def changes(replay: Replay) -> list[tuple[str, str]]:
    """The requests that were no mere looking."""
    return [asked for asked in replay.asked if not asked[0].startswith("GET ")]


def overview(app: KwhostApp) -> Overview:
    assert isinstance(app.screen, Overview)
    return app.screen


def test_enter_at_the_question_changes_nothing() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("x")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            await pilot.press("enter")
            await wait_for(lambda: isinstance(app.screen, Overview), "overview")

            assert changes(replay) == []

    play(look)


def test_all_marked_instances_are_stopped_once_confirmed() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "space", "space", "x")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: len(changes(replay)) == 2, "requests")

            ids = [row.key for row in app.host.fleet.rows() if row.status.name.startswith("web")]
            assert {asked for asked, _ in changes(replay)} == {f"POST /v1/instances/{i}/stop" for i in ids}

    play(look)


def test_what_cannot_be_done_in_a_state_is_not_asked_for() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("u")
            await pilot.pause()

            assert changes(replay) == []
            assert isinstance(app.screen, Overview)

    play(look)


@pytest.mark.parametrize("key", ["s", "x", "r", "p", "K", "D", "e", "t"])
def test_no_key_changes_anything_in_read_only_mode(key: str) -> None:
    async def look() -> None:
        async with interface(load("busy"), read_only=True) as (app, pilot, replay):
            await pilot.press("a", "y", "escape", key)
            await pilot.pause()

            assert changes(replay) == []
            assert isinstance(app.screen, Overview)

    play(look)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("y", {"allow": True, "scope": "once"}),
        ("i", {"allow": True, "scope": "instance"}),
        ("f", {"allow": True, "scope": "forever"}),
        ("n", {"allow": False, "scope": "once"}),
        ("N", {"allow": False, "scope": "forever"}),
    ],
)
def test_a_question_is_answered(key: str, answer: dict[str, Any]) -> None:
    async def look() -> None:
        transcript = load("busy")
        number = transcript["answers"]["/v1/questions"][0]["id"]
        async with interface(transcript) as (app, pilot, replay):
            await pilot.press("a")
            await wait_for(lambda: isinstance(app.screen, Questions), "questions")
            await pilot.press(key)
            await wait_for(lambda: changes(replay), "answer")

            ((path, body),) = changes(replay)
            assert (path, json.loads(body)) == (f"POST /v1/questions/{number}/answer", answer)

    play(look)


@pytest.mark.parametrize(("seconds", "answered"), [(3600.0, []), (0.01, ["2"])])
def test_a_key_meant_for_a_question_that_is_gone_answers_no_other(
    seconds: float, answered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kwhost.tui.screens.questions._SEEN_SECONDS", seconds)

    async def look() -> None:
        transcript = load("busy")
        (first,) = transcript["answers"]["/v1/questions"]
        transcript["answers"]["/v1/questions"].append(first | {"id": "2"})
        async with interface(transcript) as (app, pilot, replay):
            await pilot.press("a")
            await wait_for(lambda: isinstance(app.screen, Questions), "questions")
            replay.answers["/v1/questions"].remove(first)
            await wait_for(lambda: len(app.host.questions) == 1, "the end of the first")
            await pilot.pause(0.1)
            await pilot.press("y")
            await pilot.pause()

            assert [path.split("/")[3] for path, _ in changes(replay)] == answered

    play(look)


def test_columns_that_have_no_room_are_not_there_rather_than_cut() -> None:
    async def look() -> None:
        async with interface(load("busy"), size=(60, 20)) as (app, _, _):
            header = overview(app).table.render_line(0).text

            assert header.split() == ["TENANT▲", "NAME", "STATE", "CPU%", "MEMORY"]

    play(look)


def test_the_filter_leaves_what_fits() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("slash", *"!web", "enter")
            table = overview(app).table
            assert {row.status.name for row in table.rows if isinstance(row, Row)} == {
                "asker",
                "busy",
                "oops",
            }

            await pilot.press("escape")
            assert len(table.rows) == 5
            assert overview(app).query_one(Input).value == ""

    play(look)


def test_the_cursor_stays_with_its_instance_when_the_order_changes() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            table = overview(app).table
            await pilot.press("j")
            before = table.current
            await pilot.press("O")

            assert before is not None
            assert table.current == before

    play(look)


def test_keys_of_ones_own_take_the_place_of_others() -> None:
    async def look() -> None:
        keymap = {"everywhere.help": "ctrl+o"}
        async with interface(load("busy"), keymap=keymap) as (app, pilot, _):
            await pilot.press("question_mark")
            assert not isinstance(app.screen, Help)

            await pilot.press("ctrl+o")
            assert isinstance(app.screen, Help)

    play(look)


def test_a_log_goes_on_behind_its_last_line_when_the_daemon_is_back() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "enter")
            await wait_for(lambda: app.screen.query_one(LogView).buffer.lines, "lines")
            (path,) = [each.partition("?")[0] for each, _ in replay.asked if "/logs" in each]
            last = replay.streams[path.removeprefix("GET ")][-1]["id"]

            await replay.stop()
            await replay.start()
            again = f"{path}?after={last}&follow=true"
            await wait_for(
                lambda: any(each.startswith(again) for each, _ in replay.asked), "the rest of the log"
            )

    play(look)


def test_logs_of_several_instances_are_one_in_the_order_of_time() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "space", "space", "L")
            await wait_for(lambda: isinstance(app.screen, LogsScreen), "screen")
            lines = app.screen.query_one(LogView).buffer.lines
            await wait_for(lambda: len(lines) == 120, "lines of both")

            assert [line.time for line in lines] == sorted(line.time for line in lines)
            assert {line.source for line in lines} == {"web-1", "web-2"}
            await wait_for(lambda: sum("follow=true" in each for each, _ in replay.asked) == 4, "more")
            assert len(lines) == 120

    play(look)


def test_at_most_sixteen_logs_are_read_at_once() -> None:
    async def look() -> None:
        transcript = load("busy")
        status = transcript["answers"]["/v1/instances"][0]
        transcript["answers"]["/v1/instances"] = [
            status | {"id": f"{number:012x}", "name": f"n{number}"} for number in range(20)
        ]
        async with interface(transcript) as (app, pilot, replay):
            await pilot.press("ctrl+a", "L")
            await wait_for(lambda: isinstance(app.screen, LogsScreen), "screen")
            lines = app.screen.query_one(LogView).buffer.lines
            await wait_for(lambda: len(lines) == 16, "a line of why there is none, for each")

            assert all("no /v1/instances/" in line.text and not line.stream for line in lines)
            paths = {each.partition("?")[0] for each, _ in replay.asked if "/logs" in each}
            assert len(paths) == 16

    play(look)


def test_a_click_on_a_key_in_the_last_line_presses_it() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            line = app.screen.query_one(KeyLine)
            text = str(line.render())
            assert "/ Filter" in text
            await pilot.click(KeyLine, offset=(1 + text.index("Help"), 0))
            await wait_for(lambda: isinstance(app.screen, Help), "help")

    play(look)


def test_the_last_line_has_keys_of_ones_own_and_none_that_changes_anything_in_read_only_mode() -> None:
    async def look() -> None:
        keymap = {"everywhere.help": "ctrl+o"}
        async with interface(load("busy"), keymap=keymap, read_only=True) as (app, _, _replay):
            text = str(app.screen.query_one(KeyLine).render())
            assert "^o Help" in text
            assert "Stop" not in text

    play(look)


def test_charts_show_longer_times_than_this_program_has_seen() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "enter", "shift+tab", "shift+tab")
            await wait_for(lambda: any("/history" in each for each, _ in replay.asked), "history")
            state = app.screen.query_one("#metrics-state", Static)
            assert "2 min" in str(state.content)
            for name in ("10 min", "1 h", "6 h", "6 h"):
                await pilot.press("plus")
                assert name in str(state.content)
            assert "the daemon remembers no more" in str(state.content)

            await pilot.press("minus")
            assert "1 h" in str(state.content)

    play(look)


def test_an_older_daemon_without_a_history_is_told_in_a_line() -> None:
    async def look() -> None:
        transcript = load("busy")
        for path in [path for path in transcript["answers"] if path.endswith("/history")]:
            del transcript["answers"][path]
        async with interface(transcript) as (app, pilot, _):
            await pilot.press("j", "enter", "shift+tab", "shift+tab", "plus")
            state = app.screen.query_one("#metrics-state", Static)
            await wait_for(lambda: "no /v1/instances/" in str(state.content), "the reason")

    play(look)


def test_it_says_that_the_daemon_is_gone_and_goes_on_with_the_next() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, _, replay):
            await replay.stop()
            await wait_for(lambda: app.host.trouble, "notice")
            assert app.host.fleet.rows()

            replay.answers["/v1/info"]["started"] += 1000
            await replay.start()
            await wait_for(lambda: not app.host.trouble, "connection")
            assert app.host.info
            assert app.host.info.started == replay.answers["/v1/info"]["started"]

    play(look)


def test_a_filled_form_starts_an_instance_and_an_unfinished_one_does_not() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            replay.changes["POST /v1/instances"] = replay.answers["/v1/instances"][0]
            await pilot.press("N", *"shop", "ctrl+s")
            await pilot.pause()
            assert changes(replay) == []

            await pilot.press("enter", "enter", *"sleep", "space", *"60", "ctrl+s")
            await wait_for(lambda: isinstance(app.screen, Overview), "the start")

            [(request, body)] = changes(replay)
            assert request == "POST /v1/instances?start=true"
            sent = json.loads(body)
            assert (sent["tenant"], sent["name"], sent["command"]) == ("acme", "shop", ["sleep", "60"])

    play(look)


def test_what_the_daemon_refuses_stays_in_the_form() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("N", *"shop", "enter", "enter", *"sleep", "ctrl+s")
            trouble = app.screen.query_one("#trouble", Static)
            await wait_for(lambda: "not as expected" in str(trouble.content), "the answer")

            assert isinstance(app.screen, StartScreen)

    play(look)


def test_a_reload_is_asked_about_first_and_says_what_it_did() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            replay.changes["POST /v1/reload"] = {"created": ["b/x"], "restarted": ["acme/web-1"]}
            await pilot.press("ctrl+r")
            await wait_for(lambda: isinstance(app.screen, Confirm), "question")
            assert changes(replay) == []

            app.screen.query_one("#go", Button).press()
            await wait_for(lambda: changes(replay) == [("POST /v1/reload", "")], "request")
            await wait_for(
                lambda: (
                    "created: b/x\nrestarted: acme/web-1" in [each.message for each in app._notifications]
                ),
                "its answer",
            )

    play(look)


def test_any_program_is_run_in_an_instance() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, _):
            await pilot.press("E", "enter")
            assert isinstance(app.screen, Prompt)

            await pilot.press(*"ls", "enter")
            await wait_for(lambda: isinstance(app.screen, Console), "the console")
            title = app.screen.query_one("#console-title", Static)
            assert "kwhost exec -it acme/asker -- ls" in str(title.content)

    play(look)


@pytest.mark.parametrize("key", ["N", "E", "ctrl+r"])
def test_read_only_neither_starts_nor_reloads(key: str) -> None:
    async def look() -> None:
        async with interface(load("busy"), read_only=True) as (app, pilot, _):
            await pilot.press(key)
            await pilot.pause()

            assert isinstance(app.screen, Overview)

    play(look)


def test_a_port_is_published_and_taken_back() -> None:
    async def look() -> None:
        async with interface(load("busy")) as (app, pilot, replay):
            await pilot.press("j", "enter", "P", *"9090:80", "enter")
            await wait_for(lambda: changes(replay), "the request")
            [(request, body)] = changes(replay)
            assert request.startswith("POST /v1/instances/")
            assert json.loads(body) == {
                "address": "127.0.0.1",
                "port": 9090,
                "target": 80,
                "transport": "tcp",
            }

            await pilot.press("U", *"9090:80", "enter")
            assert isinstance(app.screen, Prompt), "it has no such port"
            await pilot.press("ctrl+u", *"8080:80", "enter")
            await wait_for(lambda: len(changes(replay)) == 2, "the request")
            assert changes(replay)[1][0].endswith("/ports?port=8080%3A80")

    play(look)
