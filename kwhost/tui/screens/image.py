"""All about one image: what it says about being run, its layers, and who has it."""

import shlex
import signal
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import quote

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.model.definition import ProbeKind
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.text import clean
from kwhost.tui.format import age, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.records import read
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.listing import lines

__all__ = ["ImageScreen", "inspect", "program_of", "reference_to"]


def reference_to(image: ListedImage) -> str:
    """A name may have moved, or be that of a tenant's own image before the shared one."""
    return image.name if "@" in image.name else f"{image.name}@{image.digest}"


async def inspect(host: Host, image: ListedImage) -> StoredImage:
    """All about it, which lists do not have. Raises KwhostError."""
    path = f"/v1/images/{quote(reference_to(image), safe='')}"
    query = {"tenant": image.tenant} if image.tenant else None
    return read(await host.client.request("GET", path, query), StoredImage)


def program_of(image: StoredImage) -> str:
    """What is run where nothing else is asked for."""
    return shlex.join(image.settings.program(None, ())) or "-"


class ImageScreen(HostScreen):
    """As it was when it was opened: an image never changes."""

    DEFAULT_CSS = """
    ImageScreen #title { height: 1; padding: 0 1; background: $surface; text-style: bold; }
    ImageScreen VerticalScroll { height: 1fr; padding: 1 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("image")

    def __init__(self, host: Host, image: StoredImage) -> None:
        super().__init__(host)
        self._image = image

    def content(self) -> Iterable[Widget]:
        """Name by name."""
        command = ["kwhost", "image", "inspect", self._image.name]
        owner = ["--tenant", self._image.tenant] if self._image.tenant else []
        yield Static(clean(f"$ {shlex.join([*command, *owner])}"), id="title", markup=False)
        text = lines([*_about(self._image, self.host.clock()), *_settings(self._image), *_rest(self._image)])
        yield VerticalScroll(Static(text, id="about", markup=False))

    def on_mount(self) -> None:
        """Keys scroll it."""
        super().on_mount()
        self.set_focus(self.query_one(VerticalScroll))

    def action_back(self) -> None:
        """Back to the list."""
        self.dismiss()


def _several(name: str, values: Iterable[str], none: str = "-") -> list[tuple[str, str]]:
    """A line for each, the first with the name."""
    found = list(values) or [none]
    return [(name if number == 0 else "", value) for number, value in enumerate(found)]


def _about(image: StoredImage, now: float) -> list[tuple[str, str]]:
    algorithm, _, digits = image.digest.partition(":")  # in one line of 80 columns
    return [
        ("image", image.name),
        ("of", image.tenant or "all tenants"),
        (algorithm, digits),
        ("size", f"{size(image.size)} unpacked, shared by all that have it"),
        ("added", f"{age(now - image.added)} ago; created {image.created or 'at an unknown time'}"),
        *_several("used by", image.instances, "no instance"),
        ("", ""),
    ]


def _settings(image: StoredImage) -> list[tuple[str, str]]:
    settings = image.settings
    environment = (f"{name}={value}" for name, value in sorted(settings.environment.items()))
    return [
        ("runs", program_of(image)),
        ("as", f"{settings.user or 'root'} in {settings.workdir}"),
        *_several("exposes", settings.ports, "no ports"),
        *_several("keeps", settings.volumes, "no volumes"),
        ("stops by", _signal(settings.stop_signal)),
        ("health", _health(image)),
        *_several("sets", environment, "no environment"),
        ("", ""),
    ]


def _signal(number: int | None) -> str:
    try:
        return signal.Signals(signal.SIGTERM if number is None else number).name
    except ValueError:  # the real-time ones have no names
        return f"signal {number}"


def _health(image: StoredImage) -> str:
    check = image.settings.healthcheck
    if check is None:
        return "no check"
    program = shlex.join(check.target) if check.kind is ProbeKind.COMMAND else " ".join(check.target)
    return f"{program}   every {check.interval:g} s, at most {check.timeout:g} s, {check.retries} times"


def _rest(image: StoredImage) -> list[tuple[str, str]]:
    return _several("layers", (layer.partition(":")[2] for layer in image.layers))
