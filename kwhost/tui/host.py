"""What the application knows of the daemon and its instances: it alone writes this, screens show it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kwhost.core.model.daemon import DaemonInfo
from kwhost.core.model.decisions import Question
from kwhost.core.model.events import Event
from kwhost.core.model.status import TenantStatus
from kwhost.tui.api import AsyncClient
from kwhost.tui.columns import PluginColumn
from kwhost.tui.fleet import Fleet

if TYPE_CHECKING:
    from kwhost.hookspecs import TuiPanel
    from kwhost.tui.errand import Errand

__all__ = ["Host"]

_EVENTS_MAX = 5000


@dataclass(slots=True, kw_only=True)
class Host:
    """`name` is how the operator calls it. `clock` gives seconds since 1970; `trouble` is why the daemon does
    not answer, "" while it does; `errand` is under way for it."""

    name: str
    client: AsyncClient
    clock: Callable[[], float]
    read_only: bool = False
    info: DaemonInfo | None = None
    trouble: str = "connecting"
    fleet: Fleet = field(default_factory=Fleet)
    tenants: Sequence[TenantStatus] = ()
    questions: Sequence[Question] = ()
    errand: "Errand | None" = None
    panels: "Sequence[TuiPanel]" = ()
    columns: Sequence[PluginColumn] = ()
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_EVENTS_MAX))
