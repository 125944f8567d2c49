"""What is done with images and volumes that a line must be asked for."""

import shlex

from kwhost.core.errors import KwhostError
from kwhost.core.model.text import clean
from kwhost.tui.bringing import BRINGING, read_bringing, read_volume
from kwhost.tui.messages import Bring
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.prompt import Prompt

__all__ = ["ask_image", "ask_volume"]


def ask_image(screen: HostScreen, verb: str) -> None:
    """Bring an image: "load", "import" or "pull"."""

    def describe(text: str) -> str:
        return shlex.join(["kwhost", *read_bringing(verb, text)])

    def bring(text: str | None) -> None:
        if text is None:
            return
        try:
            words = read_bringing(verb, text)
        except KwhostError as error:  # the file has gone since it was written
            screen.notify(clean(str(error)), severity="error", markup=False)
        else:
            screen.post_message(Bring(words))

    screen.app.push_screen(Prompt(BRINGING[verb].title, BRINGING[verb].hint, describe), bring)


def ask_volume(screen: HostScreen, tenant: str) -> None:
    """Make a volume, of this tenant where no other is named."""

    def describe(text: str) -> str:
        return read_volume(text, tenant).command

    def create(text: str | None) -> None:
        if text is not None:
            screen.run_worker(_create(screen, text, tenant))

    hint = f"data --size 10G   (of {tenant}, without --tenant)"
    screen.app.push_screen(Prompt("A new volume", hint, describe), create)


async def _create(screen: HostScreen, text: str, tenant: str) -> None:
    wanted = read_volume(text, tenant)
    body = {"name": wanted.name, "size": wanted.size}
    try:
        await screen.host.client.request("POST", "/v1/volumes", {"tenant": wanted.tenant}, body)
    except KwhostError as error:
        screen.notify(clean(str(error)), title="Could not make it", severity="error", markup=False)
    else:
        screen.notify(clean(f"$ {wanted.command}"), title=f"Made the volume {wanted.name}", markup=False)
