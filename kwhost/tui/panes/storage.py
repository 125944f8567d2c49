"""What the instance's files are: its root, the image beneath it, and what is mounted in it."""

import asyncio

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import RootStatus
from kwhost.core.model.storage import InstanceStorage, LayerUse, MountUse, Origin
from kwhost.core.model.text import clean
from kwhost.tui.format import bar, size
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["StoragePane"]

_SECONDS = 2.0
_BAR = 12
# How many characters of a digest are enough to know it by.
_DIGEST = 19
_NEARLY_FULL = 0.9
_LAYERS_SHOWN = 6

_ORIGINS = {
    Origin.ROOT: "root",
    Origin.PROGRAMS: "this host's programs",
    Origin.VOLUME: "volume",
    Origin.DIRECTORY: "this host's directory",
    Origin.MEMORY: "memory",
}
_CHANGES = {
    "memory": "in memory",
    "disk": "on a disk of its own",
    "directory": "in a directory",
    "nowhere": "refused",
}


def _share(mount: MountUse) -> float | None:
    return mount.used / mount.size if mount.size and mount.used is not None else None


def _fill(mount: MountUse) -> Cell:
    share = _share(mount)
    if share is None:
        return Cell("", Tone.DIM)
    return Cell(bar(share, _BAR), Tone.BAD if share > _NEARLY_FULL else Tone.ACCENT)


def _what(mount: MountUse) -> Cell:
    source = mount.source
    if mount.origin is Origin.VOLUME and not source:
        source = "of the image"
    if mount.origin is Origin.ROOT and mount.layers:
        source = f"above {mount.layers} layers" if mount.layers > 1 else "above a layer"
    return Cell(f"{_ORIGINS[mount.origin]} {source}".rstrip())


_MOUNTS: list[Column[MountUse]] = [
    Column("at", 24, lambda mount: Cell(mount.target, Tone.ACCENT)),
    Column("what", 0, _what),
    Column("file system", 11, lambda mount: Cell(mount.file_system, Tone.DIM), rank=3),
    Column("access", 9, lambda mount: Cell("read only", Tone.DIM) if mount.read_only else "writes"),
    Column("used", 8, lambda mount: size(mount.used), right=True, rank=1),
    Column("of", 8, lambda mount: size(mount.size), right=True),
    Column("full", _BAR, _fill, rank=2),
]
_LAYERS: list[Column[tuple[int, LayerUse]]] = [
    Column("layer", 6, lambda row: str(row[0] + 1), right=True),
    Column("as it came", 10, lambda row: size(row[1].packed), right=True),
    Column("digest", 0, lambda row: Cell(row[1].digest, Tone.DIM)),
]


class StoragePane(Pane):
    """A line about the image, the mounts, and the image's layers from the lowest up."""

    DEFAULT_CSS = """
    StoragePane #storage-image { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
        text-overflow: ellipsis; }
    StoragePane #mount-table { height: 1fr; }
    StoragePane #layer-table { display: none; border-top: solid $panel; }
    StoragePane #layer-table > .table--cursor { background: $background; }
    StoragePane.layered #layer-table { display: block; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._image = Static("", id="storage-image", markup=False)
        self._mounts = RowTable[MountUse](
            _MOUNTS, lambda mount: mount.target, empty="Nothing is mounted.", id="mount-table"
        )
        self._layers = RowTable[tuple[int, LayerUse]](_LAYERS, lambda row: row[0], id="layer-table")
        self._layers.can_focus = False

    def compose(self) -> ComposeResult:
        """The image, the mounts, the layers."""
        yield self._image
        yield self._mounts
        yield self._layers

    async def follow(self) -> None:
        """Read it; of what does not run there is the image alone."""
        while True:
            storage = read(await self.ask("storage"), InstanceStorage)
            self._describe(storage)
            self._mounts.set_rows(storage.mounts)
            self.set_class(bool(storage.layers), "layered")
            self._layers.styles.height = 2 + min(_LAYERS_SHOWN, len(storage.layers))
            self._layers.set_rows(enumerate(storage.layers))
            await asyncio.sleep(_SECONDS)

    def _describe(self, storage: InstanceStorage) -> None:
        row = self.host.fleet.row(self.instance)
        self._image.update(_describe(storage, row.status.root if row else None))


def _describe(storage: InstanceStorage, root: RootStatus | None) -> Content:
    parts = [("image ", "$muted"), (clean(storage.image), "bold $accent")]
    if root and storage.mounts:
        where = _CHANGES.get(root.changes, clean(root.changes))
        parts += [("   changes to the root ", "$muted"), (where, "bold")]
    if storage.layers:
        parts += [("   layers ", "$muted"), (str(len(storage.layers)), "bold")]
        parts += [("   unpacked ", "$muted"), (size(storage.size), "bold"), (", shared", "$muted")]
    if storage.digest:
        parts.append((f"   {clean(storage.digest[:_DIGEST])}", "$muted"))
    return Content.assemble(*parts)
