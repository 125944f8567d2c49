"""Images that are brought from the interface: what is told of them, and how that is ended."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from textual.widgets import Static

from kwhost.tui.app import KwhostApp
from kwhost.tui.errand import Errand
from tests.patience import SECONDS
from tests.tui.replay import SOCKET, interface, load, play, wait_for
from tests.tui.test_storage import open_images


async def pull(app: KwhostApp, pilot: Any, registry: str) -> None:
    await open_images(app, pilot)
    await pilot.press("p", *f"{registry}/app:1", "space", *"--plain-http", "enter")


def told(app: KwhostApp) -> str:
    return "\n".join(f"{each.title}: {each.message}" for each in app._notifications)


def test_what_is_under_way_is_told_and_can_be_ended() -> None:
    async def look() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            registry = f"127.0.0.1:{silent.getsockname()[1]}"
            async with interface(load("images")) as (app, pilot, _):
                await pull(app, pilot, registry)
                await wait_for(lambda: app.host.errand, "its begin")
                app._show()
                line = app.screen.query_one("#errand", Static)
                assert f"$ kwhost image pull --plain-http {registry}/app:1" in str(line.content)
                assert line.display

                await pilot.press("p")
                assert "One comes already" in told(app)
                await pilot.press("c")
                await wait_for(lambda: "Not pulled: it was ended" in told(app), "its end")
                assert app.host.errand is None

    play(look)


def test_a_pull_looks_as_it_should(snapshot: Callable[[str, str], None]) -> None:
    async def look() -> None:
        async with interface(load("images"), size=(80, 24)) as (app, pilot, _):
            await open_images(app, pilot)
            app.host.errand = Errand(
                ["image", "pull", "registry.example/debian:12"], SOCKET, app.host.clock() - 12
            )
            app.host.errand.said = "40 % of 120.0 MiB fetched"
            for theme in ("dark", "light"):
                app.theme = f"kwhost-{theme}"
                app._show()
                await pilot.pause()
                snapshot(f"errand-80x24-{theme}", app.export_screenshot())

    play(look)


def test_it_ends_with_the_interface() -> None:
    async def look() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(SECONDS)
            async with interface(load("images")) as (app, pilot, _):
                await pull(app, pilot, f"127.0.0.1:{silent.getsockname()[1]}")
                connection, _ = await asyncio.to_thread(silent.accept)
                assert connection.recv(3) == b"GET"
            with connection:
                connection.settimeout(SECONDS)
                while connection.recv(1000):
                    pass

    play(look)


def test_why_nothing_came_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        registry = f"127.0.0.1:{closed.getsockname()[1]}"

    async def look() -> None:
        async with interface(load("images")) as (app, pilot, _):
            await pull(app, pilot, registry)
            await wait_for(lambda: "Not pulled: " in told(app), "its end")
            assert registry in told(app)
            assert "Connection refused" in told(app)

    play(look)
