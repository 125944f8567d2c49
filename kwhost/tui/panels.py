"""Tabs and columns that plugins add.

They are the plugins' own code, which runs in this process: in threads, with a deadline.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.errors import HostError, KwhostError

if TYPE_CHECKING:
    from kwhost.hookspecs import TuiCell, TuiInstanceColumn, TuiPanel, TuiSource

__all__ = ["FoundPanels", "PanelRow", "find_panels", "no_panels", "read_rows"]

PanelRow = tuple["TuiCell", ...]


class FoundPanels(NamedTuple):
    """What plugins add; `failures` has a line for each that does not work."""

    panels: "Sequence[TuiPanel]" = ()
    failures: Sequence[str] = ()
    columns: "Sequence[TuiInstanceColumn]" = ()


async def no_panels() -> FoundPanels:
    """As where no plugin adds any."""
    return FoundPanels()


async def find_panels() -> FoundPanels:
    """Of the plugins that are installed and configured here."""
    return await asyncio.to_thread(_find)


def _find() -> FoundPanels:
    # After the first picture, for which they would be waited for.
    from kwhost.core.config.host import load_host_config
    from kwhost.core.pluginmgr.discovery import Selection
    from kwhost.core.pluginmgr.loading import load_plugins
    from kwhost.hookspecs import TuiInstanceColumn, TuiPanel

    failures: list[str] = []
    try:
        host = load_host_config()
    except KwhostError as error:
        return FoundPanels(failures=[str(error)])
    selection = Selection(load=host.plugins, blocked=frozenset(host.block_plugins))
    plugins = load_plugins(selection, failures.append)
    panels, columns = plugins.offers("tui_panels").values(), plugins.offers("tui_columns").values()
    return FoundPanels(
        [offer for offer in panels if isinstance(offer, TuiPanel)],
        failures,
        [offer for offer in columns if isinstance(offer, TuiInstanceColumn)],
    )


async def read_rows(panel: "TuiPanel", source: "TuiSource", seconds: float) -> list[PanelRow]:
    """What a panel shows now. Raises HostError with one line about what its plugin did wrong: `seconds`
    are the longest that it may take."""
    from kwhost.core.pluginmgr.answers import check_rows  # only plugins need these
    from kwhost.core.pluginmgr.faults import PluginFault, call_bounded

    try:
        answer = await asyncio.to_thread(call_bounded, partial(panel.read, source), seconds)
        return check_rows(panel, answer)
    except PluginFault as fault:
        raise HostError(f"{panel.title}: {fault}") from fault
