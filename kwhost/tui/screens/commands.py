"""What is done with an instance that a line must be asked for."""

import shlex
from typing import Any

from kwhost.core.api.requests import instance_path
from kwhost.core.errors import KwhostError, UsageError
from kwhost.core.model.ports import parse_port
from kwhost.core.model.text import clean
from kwhost.tui.draft import read_command
from kwhost.tui.fleet import Row
from kwhost.tui.messages import Answered, OpenConsole
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.prompt import Prompt

__all__ = ["ask_command", "ask_port"]


def ask_command(screen: HostScreen, name: str) -> None:
    """Run a further program in the instance `name`, on a terminal."""

    def describe(text: str) -> str:
        return shlex.join(["kwhost", "exec", "-it", name, "--", *read_command(text)])

    def run(text: str | None) -> None:
        if text is not None:
            screen.post_message(OpenConsole("exec", name, read_command(text)))

    screen.app.push_screen(Prompt(f"A program in {name}", "ps ax", describe), run)


def ask_port(screen: HostScreen, row: Row, *, remove: bool) -> None:
    """Publish a port of an instance, or do so no more."""
    options = ["--remove"] if remove else []
    present = [text.replace("->", ":") for text in row.status.ports]
    if remove and not present:
        screen.notify("It has no published port.", severity="warning")
        return

    def describe(text: str) -> str:
        port = str(parse_port(text.strip()))
        if remove and port not in row.status.ports:
            raise UsageError(f"it has {', '.join(present)}")
        return shlex.join(["kwhost", "publish", *options, row.name, text.strip()])

    def publish(text: str | None) -> None:
        if text is not None:
            screen.run_worker(_publish(screen, row, text.strip(), describe(text), remove=remove))

    title = f"A port that leads to {row.name} no more" if remove else f"A port that leads to {row.name}"
    screen.app.push_screen(Prompt(title, present[-1] if remove else "8080:80", describe), publish)


async def _publish(screen: HostScreen, row: Row, text: str, command: str, *, remove: bool) -> None:
    path = instance_path(row.key, "ports")
    port = parse_port(text)
    body: dict[str, Any] = {"address": port.address, "port": port.port, "target": port.target}
    body["transport"] = port.transport.value
    client = screen.host.client
    try:
        if remove:
            await client.request("DELETE", path, {"port": text})
        else:
            await client.request("POST", path, body=body)
    except KwhostError as error:
        screen.notify(clean(str(error)), severity="error", markup=False)
    else:
        screen.notify(f"$ {clean(command)}", markup=False)
    screen.post_message(Answered())
