"""What is done at the operator's wish, after a question where it cannot be undone."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from textual.app import App

from kwhost.core.errors import KwhostError
from kwhost.core.model.daemon import Changes, change_lines
from kwhost.core.model.text import clean
from kwhost.tui.actions import Action, command_line
from kwhost.tui.bringing import BRINGING
from kwhost.tui.errand import Errand
from kwhost.tui.fleet import Row
from kwhost.tui.host import Host
from kwhost.tui.records import read
from kwhost.tui.screens.confirm import Confirm

__all__ = ["perform", "reload"]

# At once, of what is done with several instances.
_REQUESTS_MAX = 8
_LINES_MAX = 12
_LONG = 15  # seconds


async def perform(app: App[Any], host: Host, action: Action, rows: Sequence[Row], place: str = "") -> None:
    """Do it with these instances, and say what became of it; `place` is the name of a host that is not the
    one that is shown."""
    names = [row.name for row in rows]
    command = command_line(action, names)
    shown = [f"{name} on {place}" for name in names] if place else names
    if action.destructive and not await app.push_screen_wait(
        Confirm(action.verb, shown, action.warning, command)
    ):
        return
    limit = asyncio.Semaphore(_REQUESTS_MAX)

    async def ask(row: Row) -> str | None:
        # By id: the name may mean another instance by now.
        async with limit:
            try:
                await host.client.request(*action.request(row.key))
            except KwhostError as error:
                return str(error)
            return None

    failures = [failure for failure in await asyncio.gather(*map(ask, rows)) if failure]
    for failure in failures[:3]:
        app.notify(clean(failure), title=f"Could not {action.verb}", severity="error", markup=False)
    if done := len(rows) - len(failures):
        what = shown[0] if len(rows) == 1 else f"{done} instances"
        app.notify(clean(f"$ {command[:200]}"), title=f"{what} {action.done}", markup=False)


async def bring(app: App[Any], host: Host, words: Sequence[str]) -> None:
    """Bring an image as the command does, and say what came; it goes on whatever is looked at."""
    way = BRINGING[words[1]]
    errand = host.errand = Errand(words, host.client.path, host.clock())
    try:
        brought = await errand.run()
    except KwhostError as error:
        title = f"Not {way.done.lower()}"
        app.notify(clean(str(error)), title=title, severity="error", markup=False, timeout=_LONG)
    else:
        names = ", ".join(brought[:_LINES_MAX])
        app.notify(clean(f"$ {errand.command}"), title=clean(f"{way.done} {names}"), markup=False)
    finally:
        host.errand = None


async def reload(app: App[Any], host: Host) -> None:
    """Have the daemon read its configuration again, and say what that did."""
    source = (host.info.configuration if host.info else None) or "no file"
    warning = "Instances that it has otherwise now are restarted; those that it has no more end."
    question = Confirm("reload", [source], warning, "kwhost reload", title="Reload the configuration?")
    if not await app.push_screen_wait(question):
        return
    try:
        changes = read(await host.client.request("POST", "/v1/reload"), Changes)
    except KwhostError as error:
        app.notify(clean(str(error)), title="Could not reload", severity="error", markup=False)
        return
    lines = change_lines(asdict(changes)) or ["nothing changed"]
    text = "\n".join(map(clean, lines[:_LINES_MAX]))
    app.notify(text, title="$ kwhost reload", timeout=_LONG, markup=False)
