"""What is done with an instance that a line must be asked for."""

import shlex

from textual.screen import Screen

from kwhost.tui.draft import read_command
from kwhost.tui.messages import OpenConsole
from kwhost.tui.screens.prompt import Prompt

__all__ = ["ask_command"]


def ask_command(screen: Screen[None], name: str) -> None:
    """Run a further program in the instance `name`, on a terminal."""

    def describe(text: str) -> str:
        return shlex.join(["kwhost", "exec", "-it", name, "--", *read_command(text)])

    def run(text: str | None) -> None:
        if text is not None:
            screen.post_message(OpenConsole("exec", name, read_command(text)))

    screen.app.push_screen(Prompt(f"A program in {name}", "ps ax", describe), run)
