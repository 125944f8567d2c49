"""What screens of images and of volumes have in common: a table that follows the daemon, and more about the
row with the cursor."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar
from urllib.parse import quote

from textual import on, work
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.text import clean
from kwhost.tui.api import Query
from kwhost.tui.format import age
from kwhost.tui.host import Host
from kwhost.tui.records import read
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.widgets.table import RowTable

__all__ = ["Listing", "lines"]

R = TypeVar("R")

_SECONDS = 2.0


def lines(parts: Iterable[tuple[str, str]]) -> Content:
    """Names and what there is to say of each."""
    return Content("\n").join(
        Content.assemble((f"{name:>8}  ", "$muted"), clean(text)) for name, text in parts
    )


class Listing(HostScreen, Generic[R]):
    """All `kind` that the daemon has at `path`; nothing is removed without a question."""

    DEFAULT_CSS = """
    Listing RowTable { height: 1fr; }
    Listing #errand {
        display: none; height: 1; padding: 0 1; background: $accent; color: $background; text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    Listing #errand.-runs { display: block; }
    Listing #detail {
        height: auto; min-height: 6; padding: 1 2; background: $surface; text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, host: Host, table: RowTable[R], path: str, kind: type[R]) -> None:
        super().__init__(host)
        self.table = table
        self._path = path
        self._kind = kind
        self._errand = Static("", id="errand", markup=False)
        self._detail = Static("", id="detail", markup=False)
        self._changed = asyncio.Event()

    def content(self) -> Iterable[Widget]:
        """The rows, what is under way, and more about the one with the cursor."""
        yield self.table
        yield self._errand
        yield self._detail

    def on_mount(self) -> None:
        """Keys are the table's."""
        super().on_mount()
        self.set_focus(self.table)
        self._follow()

    def show_state(self) -> None:
        """How far what is under way has come, too."""
        super().show_state()
        errand = self.host.errand
        self._errand.set_class(errand is not None, "-runs")
        if errand:
            took, key = age(self.host.clock() - errand.begun), self._key("images.give_up")
            ends = f"   {key} ends it" if key else ""
            self._errand.update(clean(f"{took}  {errand.said or 'begins'}{ends}   $ {errand.command}"))

    def look(self) -> None:
        """Ask the daemon at once."""
        self._changed.set()

    @work
    async def _follow(self) -> None:
        """Somebody else may bring and remove some, too."""
        told = ""
        while True:
            self._changed.clear()
            try:
                answer = await self.host.client.request("GET", self._path, {"all": True})
                self.table.set_rows(read(answer, tuple[self._kind, ...]))  # type: ignore[name-defined]
                await self._show_current()
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
    def _look_closer(self) -> None:
        self.run_worker(self._show_current(), group="detail", exclusive=True)

    async def _show_current(self) -> None:
        row = self.table.current
        text = Content("") if row is None else await self.describe(row)
        if row is self.table.current:  # the cursor has not moved on meanwhile
            self._detail.update(text)

    async def describe(self, row: R) -> Content:
        """More about a row, whether or not the daemon answers."""
        raise NotImplementedError

    def ask_remove(self, title: str, rows: Sequence[R], warning: str, command: str, query: Query) -> None:
        """Ask, and remove these of one owner, who is in `query`: no others, whatever comes meanwhile."""
        names = [self.name_of(row) for row in rows]
        question = Confirm("remove", names, warning, command, title=title)
        references = [self.reference_to(row) for row in rows]
        self.run_worker(self._remove_once_confirmed(question, references, command, query))

    def name_of(self, row: R) -> str:
        """What a row is called."""
        raise NotImplementedError

    def reference_to(self, row: R) -> str:
        """What means this one alone, should its name come to mean another."""
        return self.name_of(row)

    async def _remove_once_confirmed(
        self, question: Confirm, names: Sequence[str], command: str, query: Query
    ) -> None:
        if not await self.app.push_screen_wait(question):
            return
        failures = []
        for name in names:
            try:
                await self.host.client.request("DELETE", f"{self._path}/{quote(name, safe='')}", query)
            except KwhostError as error:
                failures.append(clean(str(error)))
        for failure in failures[:3]:
            self.notify(failure, title="Could not remove", severity="error", markup=False)
        if len(failures) < len(names):
            self.notify(clean(f"$ {command[:200]}"), title="Removed", markup=False)
        self.look()

    def action_back(self) -> None:
        """Back to where one was."""
        self.dismiss()
