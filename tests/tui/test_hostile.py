"""What an instance writes, is named or asks for cannot act on the operator's terminal."""

from typing import Any
from urllib.parse import quote

import pytest
from textual.pilot import Pilot

from kwhost.tui.app import KwhostApp
from kwhost.tui.log_buffer import clean_line
from kwhost.tui.widgets.log_view import LogView
from kwhost.tui.widgets.table import RowTable
from tests.tui.replay import interface, load, play, wait_for

EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m"
    "\x1b]52;c;ZXZpbA==\x07[bold red]x[/bold red][@click=app.quit]y[/]\u202e\r\n\x00"
)


async def drawn(app: KwhostApp, pilot: Pilot[None]) -> str:
    """All characters of the screen, and nothing of how they are styled."""
    await pilot.pause()
    return "".join(segment.text for strip in app.screen._compositor.render_strips() for segment in strip)


def assert_harmless(text: str) -> None:
    assert [character for character in text if not character.isprintable()] == []


def hostile() -> dict[str, Any]:
    transcript = load("busy")
    status = transcript["answers"]["/v1/instances"][0]
    status |= {"command": ["sh", EVIL], "message": EVIL, "name": f"web{EVIL}", "image": EVIL}
    for question in transcript["answers"]["/v1/questions"]:
        question["call"] |= {"object": EVIL}
        question["name"] = f"n{EVIL}"
        question["rule"]["text"] = EVIL
    event = {
        "time": 1.0,
        "kind": "denied",
        "text": EVIL,
        "tenant": "acme",
        "instance": status["id"],
        "name": "web",
        "data": {"call": EVIL, "object": EVIL, "rule": EVIL, "layer": EVIL},
        "seq": 1,
    }
    asked = {"time": 1.0, "uid": 0, "user": EVIL, "action": EVIL, "target": EVIL, "outcome": EVIL}
    transcript["answers"]["/v1/audit"] = [asked | {"instance": status["id"]}]
    transcript["streams"]["/v1/events"] = [{"name": "event", "id": 1, "data": event}]
    line = {"time": 1.0, "stream": "stdout", "text": EVIL, "partial": False}
    base = f"/v1/instances/{status['id']}"
    transcript["streams"][f"{base}/logs"] = [{"name": "line", "id": None, "data": line}]
    transcript["answers"][f"{base}/definition"] |= {
        "command": [EVIL],
        "environment": {EVIL: EVIL},
        "traffic": {"egress": [{"to": EVIL}]},
    }
    status |= {"network": EVIL, "addresses": [EVIL], "mac": EVIL, "ports": [EVIL]}
    for event in transcript["streams"]["/v1/stats"]:
        for use in event["data"]:
            if use["id"] == status["id"]:
                use["usage"] |= {"sent_bytes": 1, "received_bytes": 1, "refused_packets": {EVIL: 1}}
    transcript["answers"]["/v1/info"]["configuration"] = EVIL
    transcript["answers"]["/v1/policies"] = [EVIL]
    for entry in transcript["answers"][f"{base}/top"]:
        entry |= {"command": EVIL, "user": EVIL}
        for thread in entry["listed"]:
            thread["name"] = EVIL
    for process in transcript["answers"][f"{base}/memory"]["processes"]:
        process["program"] = EVIL
    mount = {"target": EVIL, "origin": "volume", "source": EVIL, "file_system": EVIL, "read_only": False}
    layer = {"digest": EVIL, "packed": 1}
    transcript["answers"][f"{base}/storage"] = {
        "image": EVIL, "digest": EVIL, "size": 1, "layers": [layer], "mounts": [mount],
    }  # fmt: skip
    settings = {"command": [EVIL], "user": EVIL, "workdir": EVIL, "volumes": [EVIL], "ports": [EVIL]}
    image = {"name": EVIL, "digest": EVIL, "tenant": EVIL, "size": 1, "added": 1.0}
    transcript["answers"]["/v1/images"] = [image | {"layer_count": 1, "instance_count": 1}]
    about = image | {"layers": [EVIL], "settings": settings, "instances": [EVIL]}
    transcript["answers"][f"/v1/images/{quote(EVIL, safe='')}"] = about
    for connection in transcript["answers"][f"{base}/connections"]["connections"]:
        connection |= {"local": EVIL, "remote": EVIL}
    for layer in transcript["answers"][f"{base}/policy"]["layers"]:
        layer["name"] = EVIL
    return transcript


@pytest.mark.parametrize("keys", [
    "", "a", "x", "enter", "enter tab", "enter tab tab", "enter tab tab tab", "enter tab tab tab tab",
    "enter tab tab tab tab tab", "enter tab tab tab tab tab w", "enter tab tab tab tab tab tab",
    "enter shift+tab", "enter shift+tab shift+tab plus", "space L", "colon",
    "enter tab tab tab tab tab tab tab", "I", "I D", "question_mark", "h", "N", "E l s", "enter U", "ctrl+r",
])  # fmt: skip
def test_no_screen_passes_on_what_a_terminal_obeys(keys: str) -> None:
    async def look() -> None:
        async with interface(hostile(), size=(160, 40)) as (app, pilot, _):
            # The hostile row is first, whatever the order of names makes of it.
            target = next(row for row in app.host.fleet.rows() if "owned" in row.status.name)
            app.screen.query_one(RowTable).set_rows([target])
            for key in keys.split():
                await pilot.press(key)
                assert_harmless(await drawn(app, pilot))

    play(look)


def test_markup_in_a_log_is_text() -> None:
    async def look() -> None:
        async with interface(hostile()) as (app, pilot, _):
            target = next(row for row in app.host.fleet.rows() if "owned" in row.status.name)
            app.screen.query_one(RowTable).set_rows([target])
            await pilot.press("enter")
            await wait_for(lambda: app.screen.query_one(LogView).buffer.lines, "line")

            text = await drawn(app, pilot)
            assert "[bold red]x[/bold red][@click=app.quit]y[/]" in text
            assert "\\x1b]0;owned\\x07" in text

    play(look)


def test_colours_of_a_log_are_left_out_and_nothing_else() -> None:
    assert clean_line("\x1b[1;31mred\x1b[0m \x1b[2Jx\r") == "red \\x1b[2Jx"
