"""What tabs of an instance have in common."""

import asyncio
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.reactive import reactive

from kwhost.core.api.requests import instance_path
from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.tui.host import Host
from kwhost.tui.widgets.table import RowTable

if TYPE_CHECKING:
    from textual.worker import Worker

__all__ = ["Pane"]

_RETRY_SECONDS = 1.0


class Pane(Vertical):
    """A tab about the instance `instance`; `seen` while it is the one that is shown."""

    seen: reactive[bool] = reactive(default=False)

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__()
        self.host = host
        self.instance = instance
        self._worker: Worker[None] | None = None

    async def follow(self) -> None:
        """Read from the daemon what the tab shows, for as long as it is seen. Raises KwhostError."""

    def show_state(self) -> None:
        """The host's state has changed, or a second has gone by."""

    def take_focus(self) -> None:
        """Have the keys; where there are tables, the first that takes any has them."""
        if tables := [table for table in self.query(RowTable) if table.can_focus]:
            tables[0].focus()

    async def ask(self, operation: str = "") -> Any:
        """What the daemon says of the instance. Raises KwhostError."""
        return await self.host.client.request("GET", instance_path(self.instance, operation))

    def watch_seen(self, seen: bool) -> None:  # noqa: FBT001 - Textual's own interface
        """Begin to read, or end."""
        if self._worker:
            self._worker.cancel()
            self._worker = None
        if seen:
            self._worker = self.run_worker(self._guarded(), exit_on_error=True)
            self.show_state()

    async def _guarded(self) -> None:
        told = ""
        while True:
            try:
                await self.follow()
            except ApiError as error:
                await asyncio.sleep(_RETRY_SECONDS)
                # Of a daemon that is gone the first line of the screen tells.
                if not self.host.trouble and told != str(error):
                    told = str(error)
                    self.failed(clean(told))
            except KwhostError as error:
                self.failed(clean(str(error)))
                return
            else:
                return

    def failed(self, reason: str) -> None:
        """Nothing more comes, for now at least."""
        self.notify(reason, severity="warning", markup=False)
