"""What the instance's program wrote."""

from textual.app import ComposeResult

from kwhost.core.model.ids import InstanceId
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.panes.log_reader import LogReader, Source

__all__ = ["LogsPane"]


class LogsPane(Pane):
    """Its log."""

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._reader = LogReader(host, [Source(instance)])

    def compose(self) -> ComposeResult:
        """Nothing else."""
        yield self._reader

    def take_focus(self) -> None:
        """The lines have the keys."""
        self._reader.take_focus()

    async def follow(self) -> None:
        """For as long as it is seen; then it goes on where it was."""
        await self._reader.follow()

    def show_state(self) -> None:
        """How the log is shown."""
        self._reader.show_state()
