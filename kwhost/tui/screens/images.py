"""The images that there are, and who has them."""

import asyncio
import shlex
from collections.abc import Callable, Iterable
from typing import ClassVar
from urllib.parse import quote

from textual import on, work
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.image import StoredImage
from kwhost.core.model.text import clean
from kwhost.tui.format import age, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.records import read
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["ImagesScreen"]

_SECONDS = 2.0
_DIGITS = 12
_SHARED = "all tenants"
_NAMES_SHOWN = 8


def _columns(clock: Callable[[], float]) -> list[Column[StoredImage]]:
    return [
        Column("image", 0, lambda image: Cell(image.name, Tone.ACCENT), lambda image: image.name),
        Column("of", 14, _owner, lambda image: image.tenant or ""),
        Column("digest", _DIGITS, lambda image: Cell(_digits(image), Tone.DIM), rank=2),
        Column("layers", 6, lambda image: str(len(image.layers)), right=True, rank=3),
        Column(
            "size", 8, lambda image: size(image.size), lambda image: image.size, right=True, descending=True
        ),
        Column("added", 8, lambda image: age(clock() - image.added), lambda image: -image.added,
               right=True, rank=1),
        Column("instances", 9, _users, lambda image: len(image.instances), right=True, descending=True),
    ]  # fmt: skip


def _owner(image: StoredImage) -> Cell:
    return Cell(image.tenant) if image.tenant else Cell(_SHARED, Tone.DIM)


def _digits(image: StoredImage) -> str:
    return image.digest.partition(":")[2][:_DIGITS]


def _users(image: StoredImage) -> Cell:
    return Cell(str(len(image.instances)), Tone.GOOD) if image.instances else Cell("·", Tone.DIM)


class ImagesScreen(HostScreen):
    """Those of the operator and of all tenants that one may see; nothing is removed without a question."""

    DEFAULT_CSS = """
    ImagesScreen RowTable { height: 1fr; }
    ImagesScreen #detail {
        height: auto; min-height: 6; padding: 1 2; background: $surface; text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("images")

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.table = RowTable[StoredImage](
            _columns(host.clock), lambda image: (image.tenant, image.name), sort="image",
            empty="No images: kwhost image load, import or pull brings some.", id="images",
        )  # fmt: skip
        self._detail = Static("", id="detail", markup=False)
        self._changed = asyncio.Event()

    def content(self) -> Iterable[Widget]:
        """The images, and more about the one with the cursor."""
        yield self.table
        yield self._detail

    def on_mount(self) -> None:
        """Keys are the table's."""
        super().on_mount()
        self.set_focus(self.table)
        self._follow()

    @work
    async def _follow(self) -> None:
        """Somebody else may bring and remove images, too."""
        told = ""
        while True:
            self._changed.clear()
            try:
                answer = await self.host.client.request("GET", "/v1/images", {"all": True})
                self.table.set_rows(read(answer, tuple[StoredImage, ...]))
                self._show_detail()
                told = ""
            except KwhostError as error:
                # Of a daemon that is gone the first line of the screen tells.
                if told != str(error) and not (isinstance(error, ApiError) and self.host.trouble):
                    self.notify(clean(str(error)), severity="warning", markup=False)
                told = str(error)
            try:
                async with asyncio.timeout(_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass

    @on(RowTable.Highlighted)
    def _show_detail(self) -> None:
        image = self.table.current
        self._detail.update(_describe(image) if image else "")

    def action_remove(self) -> None:
        """Ask, and forget the name with the cursor."""
        if image := self.table.current:
            self._remove(image)

    @work
    async def _remove(self, image: StoredImage) -> None:
        owner = ["--tenant", image.tenant] if image.tenant else []
        command = shlex.join(["kwhost", "image", "rm", *owner, image.name])
        question = Confirm("remove", [image.name], _warning(image), command, title="Remove this image?")
        if not await self.app.push_screen_wait(question):
            return
        query = {"tenant": image.tenant} if image.tenant else None
        try:
            await self.host.client.request("DELETE", f"/v1/images/{quote(image.name, safe='')}", query)
        except KwhostError as error:
            self.notify(clean(str(error)), title="Could not remove", severity="error", markup=False)
        else:
            self.notify(clean(f"$ {command}"), title="Removed", markup=False)
        self._changed.set()

    def action_back(self) -> None:
        """Back to where one was."""
        self.dismiss()


def _warning(image: StoredImage) -> str:
    if image.instances:
        return "Instances have it: only its name goes, and no new one can be made of it by this name."
    return "What no other name and no instance needs of it is deleted."


def _describe(image: StoredImage) -> Content:
    settings = image.settings
    names = ", ".join(image.instances[:_NAMES_SHOWN])
    more = len(image.instances) - _NAMES_SHOWN
    parts = [
        ("digest", image.digest),
        ("runs", shlex.join(settings.program(None, ())) or "-"),
        ("as", f"{settings.user or 'root'} in {settings.workdir}"),
        ("wants", "  ".join((*settings.ports, *settings.volumes)) or "no ports, no volumes"),
        ("used by", f"{names} and {more} more" if more > 0 else names or "no instance"),
    ]
    lines = [Content.assemble((f"{name:>8}  ", "$muted"), clean(text)) for name, text in parts]
    return Content("\n").join(lines)
