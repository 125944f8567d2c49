"""The images that there are, and who has them."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.content import Content

from kwhost.core.errors import KwhostError
from kwhost.core.model.image import ListedImage
from kwhost.core.model.text import clean
from kwhost.tui.draft import image_of
from kwhost.tui.format import age, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import OpenStart
from kwhost.tui.screens.bring import ask_image
from kwhost.tui.screens.image import ImageScreen, inspect, program_of, reference_to
from kwhost.tui.screens.listing import Listing, lines
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["ImagesScreen", "unused"]

_DIGITS = 12
_SHARED = "all tenants"
_NAMES_SHOWN = 8


def _columns(clock: Callable[[], float]) -> list[Column[ListedImage]]:
    return [
        Column("image", 0, lambda image: Cell(image.name, Tone.ACCENT), lambda image: image.name),
        Column("of", 14, _owner, lambda image: image.tenant or ""),
        Column("digest", _DIGITS, lambda image: Cell(_digits(image), Tone.DIM), rank=2),
        Column("layers", 6, lambda image: str(image.layer_count), right=True, rank=3),
        Column(
            "size", 8, lambda image: size(image.size), lambda image: image.size, right=True, descending=True
        ),
        Column("added", 8, lambda image: age(clock() - image.added), lambda image: -image.added,
               right=True, rank=1),
        Column("instances", 9, _users, lambda image: image.instance_count, right=True, descending=True),
    ]  # fmt: skip


def _owner(image: ListedImage) -> Cell:
    return Cell(image.tenant) if image.tenant else Cell(_SHARED, Tone.DIM)


def _digits(image: ListedImage) -> str:
    return image.digest.partition(":")[2][:_DIGITS]


def _users(image: ListedImage) -> Cell:
    return Cell(str(image.instance_count), Tone.GOOD) if image.instance_count else Cell("·", Tone.DIM)


class ImagesScreen(Listing[ListedImage]):
    """Those of the operator and of all tenants that one may see."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("images")

    def __init__(self, host: Host) -> None:
        table = RowTable[ListedImage](
            _columns(host.clock), lambda image: (image.tenant, image.name), sort="image",
            empty="No images: l loads an archive, p pulls from a registry.", id="images",
        )  # fmt: skip
        super().__init__(host, table, "/v1/images", ListedImage)

    async def describe(self, row: ListedImage) -> Content:
        """What it runs and wants, and who has it."""
        try:
            image = await inspect(self.host, row)
        except KwhostError as error:
            return lines([("digest", row.digest), ("", str(error))])
        names = ", ".join(image.instances[:_NAMES_SHOWN])
        more = len(image.instances) - _NAMES_SHOWN
        settings = image.settings
        return lines([
            ("digest", image.digest),
            ("runs", program_of(image)),
            ("as", f"{settings.user or 'root'} in {settings.workdir}"),
            ("wants", "  ".join((*settings.ports, *settings.volumes)) or "no ports, no volumes"),
            ("used by", f"{names} and {more} more" if more > 0 else names or "no instance"),
        ])  # fmt: skip

    @on(RowTable.Chosen)
    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """All about it."""
        if row := self.table.current:
            try:
                self.app.push_screen(ImageScreen(self.host, await inspect(self.host, row)))
            except KwhostError as error:
                self.notify(clean(str(error)), severity="warning", markup=False)

    def action_new(self) -> None:
        """An instance of it."""
        if image := self.table.current:
            tenants = self.host.tenants
            owner = image.tenant or (tenants[0].name if tenants else "default")
            self.post_message(OpenStart(owner, image.name))

    def action_bring(self, verb: str) -> None:
        """Ask for one to be brought."""
        if self.host.errand:
            self.notify("One comes already: c ends that.", severity="warning")
        else:
            ask_image(self, verb)

    def action_give_up(self) -> None:
        """End what is under way."""
        if self.host.errand:
            self.host.errand.cancel()

    def action_remove(self) -> None:
        """Ask, and forget the name with the cursor."""
        if image := self.table.current:
            self._remove("Remove this image?", [image], _warning(image))

    def action_prune(self) -> None:
        """Ask, and forget those of the same owner that nobody needs."""
        if not (image := self.table.current):
            return
        wanted = [row.status.image for row in self.host.fleet.rows()]
        if found := unused(self.table.rows, image.tenant, wanted):
            whose = f"of {image.tenant}" if image.tenant else "of all tenants"
            count = "an image" if len(found) == 1 else f"{len(found)} images"
            self._remove(f"Remove {count} {whose} that no instance has?", found, _warning(found[0]))
        else:
            self.notify(f"An instance has each image of {clean(image.tenant or _SHARED)}.")

    def _remove(self, title: str, images: list[ListedImage], warning: str) -> None:
        tenant = images[0].tenant
        names = [image.name for image in images]
        command = shlex.join(["kwhost", "image", "rm", *(["--tenant", tenant] if tenant else []), *names])
        self.ask_remove(title, images, warning, command, {"tenant": tenant} if tenant else None)

    def name_of(self, row: ListedImage) -> str:
        """Its name."""
        return row.name

    def reference_to(self, row: ListedImage) -> str:
        """See there."""
        return reference_to(row)


def unused(images: Sequence[ListedImage], owner: str | None, wanted: Iterable[str]) -> list[ListedImage]:
    """The owner's own that no instance has, or is to have by the name that is `wanted`."""
    used = {image.digest for image in images if image.instance_count}
    used |= {found.digest for text in wanted if (found := image_of(text, owner or "", images))}
    return [image for image in images if image.tenant == owner and image.digest not in used]


def _warning(image: ListedImage) -> str:
    if image.instance_count:
        return "Instances have it: only its name goes, and no new one can be made of it by this name."
    return "What no other name and no instance needs of it is deleted."
