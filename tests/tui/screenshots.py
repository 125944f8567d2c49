"""Makes the pictures of the terminal interface that the documents show, from real instances:

python -m tests.tui.screenshots DIRECTORY

The daemon is that of tests.tui.record: it needs root, KVM and nftables.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from textual.widgets import Static

from kwhost.tui.api import AsyncClient
from kwhost.tui.app import KwhostApp
from kwhost.tui.screens.instance import InstanceScreen
from kwhost.tui.screens.questions import Questions
from kwhost.tui.widgets.table import RowTable
from kwhost.tui.widgets.terminal import Terminal
from tests.functional.network_hosting import network_daemon
from tests.tui.record import SCENE, wait_until_lively
from tests.tui.replay import Hands, wait_for

SIZE = (140, 26)
# Of history: the lines of blocks in the overview are full then.
_SECONDS = 12


class Picture(NamedTuple):
    """`keys` lead to it from the overview, and it is complete when `ready`."""

    name: str
    keys: str
    ready: Callable[[KwhostApp], object]


def _filled(table: str) -> Callable[[KwhostApp], object]:
    return lambda app: isinstance(app.screen, InstanceScreen) and app.screen.query_one(table, RowTable).rows


def _listing(app: KwhostApp) -> bool:
    return any(terminal.emulator.text.count("#") > 1 for terminal in app.screen.query(Terminal))


def _lived(app: KwhostApp) -> bool:
    return any(len(row.cpu_history) >= _SECONDS for row in app.host.fleet.rows())


def _refused(app: KwhostApp) -> bool:
    found = app.screen.query("#network-state").results(Static)
    return any("packets to this host" in str(state.content) for state in found)


# The cursor is on acme/asker at first; web-1 is below it.
PICTURES = (
    Picture("overview", "", _lived),
    Picture("calls", "j c", _filled("#call-table")),
    Picture("network", "enter tab tab tab", _refused),
    Picture("console", "j e l s space minus l space slash enter", _listing),
    Picture("questions", "a", lambda app: isinstance(app.screen, Questions)),
)


async def _draw(socket: Path, directory: Path, picture: Picture) -> None:
    app = KwhostApp({str(socket): AsyncClient(socket)})
    app.animation_level = "none"
    async with app.run_test(size=SIZE):
        pilot = Hands(app)
        await wait_for(lambda: app.host.questions, "the daemon's answers")
        for key in picture.keys.split():
            await pilot.press(key)
        await wait_for(lambda: picture.ready(app), picture.name)
        await pilot.pause()
        (directory / f"tui-{picture.name}.svg").write_text(app.export_screenshot(title="kwhost tui"))


def main(directory: Path) -> None:
    """Draw all of them into `directory`."""
    target = directory.resolve()
    # The socket's path stands on the screen.
    with network_daemon(SCENE) as daemon, contextlib.chdir(daemon.directory):
        wait_until_lively(daemon)
        for picture in PICTURES:
            asyncio.run(_draw(daemon.socket.relative_to(daemon.directory), target, picture))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
