"""The volumes that there are, how full they are, and who has them."""

import shlex
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from textual.binding import BindingType
from textual.content import Content

from kwhost.core.errors import KwhostError
from kwhost.core.model.text import clean
from kwhost.core.model.volume import StoredVolume
from kwhost.tui.format import age, bar, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.records import read
from kwhost.tui.screens.bring import ask_volume
from kwhost.tui.screens.listing import Listing, lines
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["VolumesScreen"]

_BAR = 20


def _columns(clock: Callable[[], float]) -> list[Column[StoredVolume]]:
    return [
        Column("volume", 0, lambda volume: Cell(volume.name, Tone.ACCENT), lambda volume: volume.name),
        Column("of", 14, lambda volume: volume.tenant, lambda volume: volume.tenant),
        Column("kind", 10, lambda volume: Cell(volume.kind, Tone.DIM), rank=2),
        Column("size", 9, lambda volume: "no bound" if volume.size is None else size(volume.size),
               lambda volume: volume.size or 0, right=True, descending=True),
        Column("made", 8, lambda volume: age(clock() - volume.created), lambda volume: -volume.created,
               right=True, rank=1),
        Column("instances", 9, _users, lambda volume: len(volume.instances), right=True, descending=True),
    ]  # fmt: skip


def _users(volume: StoredVolume) -> Cell:
    return Cell(str(len(volume.instances)), Tone.GOOD) if volume.instances else Cell("·", Tone.DIM)


class VolumesScreen(Listing[StoredVolume]):
    """Those of all tenants that one may see."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("volumes")

    def __init__(self, host: Host) -> None:
        table = RowTable[StoredVolume](
            _columns(host.clock), lambda volume: (volume.tenant, volume.name), sort="volume",
            empty="No volumes: n makes one, and so does an instance that names one.", id="volumes",
        )  # fmt: skip
        super().__init__(host, table, "/v1/volumes", StoredVolume)

    async def describe(self, row: StoredVolume) -> Content:
        """How full it is, and who has it."""
        path = f"/v1/volumes/{quote(row.name, safe='')}"
        try:
            answer = await self.host.client.request("GET", path, {"tenant": row.tenant})
            used = _fill(read(answer, StoredVolume))
        except KwhostError as error:
            used = str(error)
        return lines([
            ("volume", f"{row.tenant}/{row.name}"),
            ("used", used),
            ("used by", ", ".join(row.instances) or "no instance"),
            ("stays", "until its instance is removed" if row.instance else "until somebody removes it"),
        ])  # fmt: skip

    def action_create(self) -> None:
        """Ask for a name and a size."""
        tenants = self.host.tenants
        volume = self.table.current
        ask_volume(self, volume.tenant if volume else tenants[0].name if tenants else "default")

    def action_remove(self) -> None:
        """Ask, and remove the one with the cursor."""
        if volume := self.table.current:
            self._remove("Remove this volume?", [volume])

    def action_prune(self) -> None:
        """Ask, and remove those of the same tenant that no instance has."""
        if not (current := self.table.current):
            return
        tenant = current.tenant
        rows = self.table.rows
        if found := [each for each in rows if each.tenant == tenant and not each.instances]:
            count = "a volume" if len(found) == 1 else f"{len(found)} volumes"
            self._remove(f"Remove {count} of {tenant} that no instance has?", found)
        else:
            self.notify(f"An instance has each volume of {clean(tenant)}.", markup=False)

    def _remove(self, title: str, volumes: list[StoredVolume]) -> None:
        tenant = volumes[0].tenant
        names = [volume.name for volume in volumes]
        command = shlex.join(["kwhost", "volume", "rm", "--tenant", tenant, *names])
        self.ask_remove(title, volumes, "All files in it are deleted.", command, {"tenant": tenant})

    def name_of(self, row: StoredVolume) -> str:
        """Its name."""
        return row.name


def _fill(volume: StoredVolume) -> str:
    if volume.used is None:
        return "-"
    if not volume.size:
        return f"{size(volume.used)}; there is no bound"
    return f"{bar(volume.used / volume.size, _BAR)} {size(volume.used)} of {size(volume.size)}"
