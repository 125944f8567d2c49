"""The terminal interface with a real daemon, real instances, and typed into on a real terminal."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.widgets import Static

from kwhost.tui.api import AsyncClient
from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.console import Console
from kwhost.tui.widgets.log_view import LogView
from kwhost.tui.widgets.table import RowTable
from kwhost.tui.widgets.terminal import Terminal
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.functional.network_hosting import network_daemon
from tests.tui.replay import Hands, play, wait_for

pytestmark = pytest.mark.kvm

CONFIGURATION = """
[policies.asks]
base = "default"
ask_timeout = "60s"
[policies.asks.syscalls]
ask = ["mkdir"]
[tenants.acme.instances.web]
command = ["sh", "-c", "echo here it is; exec sleep 600"]
[tenants.acme.instances.asker]
command = ["sh", "-c", "mkdir /tmp/x && echo made; exec sleep 600"]
policy = "asks"
"""


def open_app(daemon: Daemon) -> KwhostApp:
    return KwhostApp({"here": AsyncClient(daemon.socket)})


def row(app: KwhostApp, name: str) -> str:
    return next((row.status.state.value for row in app.host.fleet.rows() if row.name == name), "")


def test_an_instance_is_seen_stopped_and_started(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await pilot.press("slash", *"web", "enter", "x", "right", "enter")
            await wait_for(lambda: row(app, "acme/web") == "exited", "its end")
            await pilot.press("s")
            await wait_for(lambda: row(app, "acme/web") == "running", "its start")

    play(look)


def test_an_instance_is_started_from_the_form(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await pilot.press("N", *"shop", "enter", "enter", *"sleep", "space", *"60")
            await pilot.press("enter", *"strict", "ctrl+s")
            await wait_for(lambda: row(app, "acme/shop") == "running", "its start")

    play(look)
    definition = daemon.client.request("GET", "/v1/instances/shop/definition")
    assert (definition["command"], definition["policy"]) == (["sleep", "60"], "strict")


def test_a_log_is_followed(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await pilot.press("slash", *"web", "enter", "enter")
            await wait_for(lambda: app.screen.query(LogView), "the screen")
            lines = app.screen.query_one(LogView).buffer.lines
            await wait_for(lambda: "here it is" in [line.text for line in lines], "the line")

    play(look)


def test_an_allowed_question_lets_the_program_go_on(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: app.host.questions, "the question")
            await pilot.press("a", "y")
            await wait_for(lambda: not app.host.questions, "the answer")

    play(look)
    eventually(lambda: "made" in daemon.run("logs", "asker").stdout, "what follows the call")


def test_a_shell_in_an_instance_is_typed_into(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await pilot.press("slash", *"web", "enter", "e")
            await wait_for(lambda: isinstance(app.screen, Console), "the console")
            emulator = app.screen.query_one(Terminal).emulator
            await wait_for(lambda: "#" in emulator.text, "the prompt")
            await pilot.press(*"echo $((6*7))", "enter")
            await wait_for(lambda: "\n42" in emulator.text, "the answer")
            await pilot.press("ctrl+p", "ctrl+q")
            await wait_for(lambda: not isinstance(app.screen, Console), "the way back")

    play(look)


DRAWING = """
[tenants.acme.instances.drawing]
command = ["bash", "-c", "trap 'echo drawn' WINCH; while :; do sleep 0.1; done"]
interactive = true
tty = true
"""


def test_a_program_draws_its_screen_for_each_who_attaches(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(DRAWING)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/drawing") == "running", "running")
            for _ in range(2):
                await pilot.press("t")
                await wait_for(lambda: isinstance(app.screen, Console), "the console")
                emulator = app.screen.query_one(Terminal).emulator
                await wait_for(lambda: "drawn" in emulator.text, "its screen")  # noqa: B023 - at once
                await pilot.press("ctrl+p", "ctrl+q")
                await wait_for(lambda: not isinstance(app.screen, Console), "the way back")

    play(look)


@pytest.mark.root
@pytest.mark.net
def test_what_an_instances_network_refuses_is_seen() -> None:
    # The first line of resolv.conf is the host, which answers questions about names and nothing else.
    script = """busybox httpd -p 80; read _ host </etc/resolv.conf
while :; do busybox nc -w 1 $host 80 </dev/null; sleep 0.1; done"""
    configuration = f"""
[tenants.acme]
network = {{}}
[tenants.acme.instances.caller]
command = ["sh", "-c", {json.dumps(script)}]
"""
    with network_daemon(configuration) as daemon:

        async def look() -> None:
            app = open_app(daemon)
            async with app.run_test(size=(100, 30)):
                pilot = Hands(app)
                await wait_for(lambda: row(app, "acme/caller") == "running", "running")
                await pilot.press("enter", "tab", "tab", "tab")
                await wait_for(lambda: app.screen.query("#network-state"), "the tab")
                state = app.screen.query_one("#network-state", Static)
                await wait_for(lambda: "packets to this host" in str(state.content), "refusals")
                table = app.screen.query_one("#connection-table", RowTable)
                await wait_for(lambda: any(each.local.endswith(":80") for each in table.rows), "a listener")

        play(look)


def test_a_new_daemon_is_found(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await asyncio.to_thread(daemon.signal, signal.SIGTERM)
            await wait_for(lambda: app.host.trouble, "the notice")
            await asyncio.to_thread(daemon.start)
            await wait_for(lambda: not app.host.trouble, "the connection")

    play(look)


@pytest.fixture
def tmux(kwhostd: StartDaemon) -> Iterator[tuple[Daemon, Callable[..., str]]]:
    """A terminal, and what tmux commands on it say."""
    if not shutil.which("tmux"):
        pytest.skip("needs tmux")
    daemon = kwhostd(CONFIGURATION)
    socket = str(daemon.directory / "tmux")

    def run(*arguments: str) -> str:
        command = ["tmux", "-f", os.devnull, "-S", socket, *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60, env=daemon.environment
        ).stdout

    run("new-session", "-d", "-x", "100", "-y", "30", "env", "TERM=screen-256color", "sh")
    yield daemon, run
    run("kill-server")


def test_it_runs_on_a_terminal(tmux: tuple[Daemon, Callable[..., str]]) -> None:
    daemon, run = tmux

    def screen() -> str:
        return run("capture-pane", "-p")

    run("send-keys", shlex.join(daemon.command("tui")), "Enter")
    eventually(lambda: "acme" in screen() and "running" in screen(), "the overview")
    run("send-keys", "j", "Enter")
    eventually(lambda: "here it is" in screen(), "the log")
    run("resize-window", "-x", "80", "-y", "24")
    run("send-keys", "?")
    eventually(lambda: "The keys that work here" in screen(), "the help")
    run("send-keys", "Escape")
    eventually(lambda: "The keys that work here" not in screen(), "the end of the help")
    run("send-keys", "q")
    eventually(lambda: "acme/" not in screen(), "the shell's screen")
    run("send-keys", "echo st''atus $?", "Enter")
    eventually(lambda: "status 0" in screen(), "its end")


def test_it_does_not_draw_where_nobody_sees_it(tmux: tuple[Daemon, Callable[..., str]]) -> None:
    daemon, run = tmux
    run("send-keys", f"{shlex.join(daemon.command('tui'))} 2>&1 >/dev/tty | cat", "Enter")

    eventually(lambda: "needs a terminal" in run("capture-pane", "-p", "-J"), "the reason")


def test_without_a_terminal_it_says_so(kwhostd: StartDaemon) -> None:
    done = kwhostd("").run("tui")

    assert done.returncode == 125
    assert "needs a terminal" in done.stderr


@pytest.mark.root
def test_an_image_is_loaded_run_and_removed(kwhostd: StartDaemon, tmp_path: Path) -> None:
    daemon = kwhostd(CONFIGURATION)
    archive = tmp_path / "app.tar"
    archive.write_bytes(docker_archive([busybox_layer().data], "app:1", Cmd=["sleep", "600"]))

    async def look() -> None:
        app = open_app(daemon)
        async with app.run_test(size=(100, 30)):
            pilot = Hands(app)
            await wait_for(lambda: row(app, "acme/web") == "running", "running")
            await pilot.press("I", "l", *str(archive), "space", *"--tenant=acme", "enter")
            table = app.screen.query_one("#images", RowTable)
            await wait_for(lambda: [image.name for image in table.rows] == ["app:1"], "the image")
            await pilot.press("N", *"shop", "ctrl+s")
            await wait_for(lambda: row(app, "acme/shop") == "running", "its start")
            await pilot.press("D", "right", "enter")
            await wait_for(lambda: not table.rows, "its removal")

    play(look)
    assert daemon.instance("acme/shop")["image"] == "app:1"
