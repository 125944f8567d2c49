"""Columns that plugins add to the overview.

What they say is kept, and asked for anew by a task of its own for each: drawing never waits for a plugin.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.errors import HostError

if TYPE_CHECKING:
    from kwhost.core.model.ids import InstanceId
    from kwhost.hookspecs import TuiCell, TuiFleet, TuiInstanceColumn
    from kwhost.tui.host import Host

__all__ = ["COLUMNS_MAX", "PluginColumn"]

# Beside our own: more have no room on any screen.
COLUMNS_MAX = 4
_SECONDS = 5.0
# In a row; a plugin that hangs leaves a thread behind each time.
_FAULTS_MAX = 3


@dataclass(slots=True)
class PluginColumn:
    """One on one host; `cells` is what its plugin said last."""

    offer: "TuiInstanceColumn"
    cells: "Mapping[InstanceId, TuiCell]" = field(default_factory=dict)

    async def follow(self, host: "Host", is_seen: Callable[[], bool], tell: Callable[[str], object]) -> None:
        """Ask again and again while it is seen. `tell` gets a line when the plugin fails for the first time,
        and when it has failed so often that it is asked no more."""
        faults, told = 0, False
        while faults < _FAULTS_MAX:
            if is_seen() and not host.trouble and host.fleet.rows():
                try:
                    self.cells = await self._read(host)
                    faults = 0
                except HostError as error:
                    self.cells = {}
                    faults += 1
                    if not told:
                        tell(str(error))
                    told = True
            await asyncio.sleep(_SECONDS)
        tell(f"{self.offer.title}: its plugin failed {faults} times, and is asked no more")

    async def _read(self, host: "Host") -> "Mapping[InstanceId, TuiCell]":
        from kwhost.core.pluginmgr.faults import PluginFault, call_bounded  # only plugins need these
        from kwhost.hookspecs import DEADLINE_SECONDS, TuiFleet

        assert host.info
        instances = tuple(row.status for row in host.fleet.rows())
        fleet = TuiFleet(socket=host.client.path, run_dir=Path(host.info.run_dir), instances=instances)
        try:
            return await asyncio.to_thread(call_bounded, partial(_ask, self.offer, fleet), DEADLINE_SECONDS)
        except PluginFault as fault:
            raise HostError(f"{self.offer.title}: {fault}") from fault


def _ask(offer: "TuiInstanceColumn", fleet: "TuiFleet") -> "Mapping[InstanceId, TuiCell]":
    """In the plugin's thread: a mapping may be code of its own too."""
    from kwhost.core.pluginmgr.answers import check_cells

    return check_cells(offer.read(fleet), [status.id for status in fleet.instances])
