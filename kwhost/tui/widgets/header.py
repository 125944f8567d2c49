"""The lines on top: the host and its totals, quotas of tenants, the question that waits longest."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.model.daemon import DaemonInfo
from kwhost.core.model.decisions import Question
from kwhost.core.model.status import TenantStatus
from kwhost.core.model.text import clean
from kwhost.tui.fleet import Totals
from kwhost.tui.format import age, amount, bar, flow, percent, rate, size

__all__ = ["HostLine", "QuestionLine", "Quotas"]


class HostLine(Widget):
    """Two lines about the host; the connection's state is always among them. Totals that there is no room for
    are left out, the least important first."""

    DEFAULT_CSS = """
    HostLine { height: 2; background: $panel; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._first = Content("")
        self._totals: Totals | None = None

    def show(
        self, host: str, info: DaemonInfo | None, totals: Totals, trouble: str, *, read_only: bool, now: float
    ) -> None:
        """`trouble` is why there is no connection."""
        first: list[tuple[str, str]] = [("kwhost ", "bold $accent")]
        if read_only:
            first.append(("read-only ", "bold $warning"))
        if trouble:
            first.append((f"○ {clean(trouble)}; trying again", "bold $error"))
        elif info:
            first += [("● ", "bold $success"), (clean(host), "bold")]
            first.append((f"  up {age(now - info.started)}, {info.version}", "$muted"))
            for badge in (f"KVM {info.kvm}", f"cgroups {info.cgroups}"):
                first.append((f"  ▪ {clean(badge)}", "$warning" if "none" in badge else "$success"))
            if info.lacking:
                first.append((f"  ▪ {len(info.lacking)} limits not held", "$warning"))
        self._first, self._totals = Content.assemble(*first), totals
        self.refresh()

    def render(self) -> Content:
        """For the present width."""
        totals = _totals(self._totals, self.content_size.width) if self._totals else Content("")
        return Content("\n").join([self._first, totals])


def _totals(totals: Totals, width: int) -> Content:
    parts = (
        ("running", str(totals.running), "bold $success"),
        ("failed", str(totals.failed), "bold $error" if totals.failed else "$muted"),
        ("cpu", f"{percent(totals.cpu)}%", "bold $accent"),
        ("memory", size(totals.memory), "bold $accent"),
        ("calls/s", amount(totals.calls), "bold $accent"),
        ("denied/s", rate(totals.denied), "bold $error" if totals.denied else "$muted"),
        ("network/s", flow(totals.received, totals.sent), "bold $accent"),
        ("ended", str(totals.ended), "$muted"),
    )
    line = Content("")
    for label, value, style in parts:
        longer = line + Content.assemble((f"{label} ", "$muted"), (value, style))
        if longer.cell_length > width:
            break
        line = longer + Content("  ")
    return line


_KINDS = {
    "max_instances": ("instances", amount), "cpus": ("cpus", lambda value: f"{value:g}"),
    "memory": ("memory", size), "pids": ("pids", amount), "storage": ("storage", size),
}  # fmt: skip
_BAR = 8


class Quotas(Static):
    """A line for each tenant that has quotas: how much of each is taken."""

    DEFAULT_CSS = """
    Quotas {
        height: auto; max-height: 5; padding: 0 1; overflow-y: auto; background: $surface;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, tenants: Sequence[TenantStatus]) -> None:
        """All of them."""
        lines = [_quotas(tenant) for tenant in tenants if any(tenant.quota.values())]
        self.display = bool(lines)
        self.update(Content("\n").join(lines))


def _quotas(tenant: TenantStatus) -> Content:
    parts = [(f"{clean(tenant.name):<10.10} ", "bold")]
    for kind, (label, show) in _KINDS.items():
        if limit := tenant.quota.get(kind):
            used = tenant.used.get(kind, 0.0)
            share = used / limit
            colour = "$error" if share > 0.9 else "$warning" if share > 0.75 else "$success"
            parts += [
                (f"{label} ", "$muted"),
                (bar(share, _BAR), f"{colour} on $panel"),
                (f" {show(used)}/{show(limit)}   ", ""),
            ]
    return Content.assemble(*parts)


class QuestionLine(Static):
    """Stands on every screen while calls wait for an answer."""

    DEFAULT_CSS = """
    QuestionLine {
        display: none; height: 1; background: $warning; color: $background; text-style: bold; padding: 0 1;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    QuestionLine.-asked { display: block; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, questions: Sequence[Question], now: float, key: str) -> None:
        """`key` leads to them; "" while a line is written into."""
        self.set_class(bool(questions), "-asked")
        if not questions:
            return
        first = questions[0]
        about = f" of {first.call.object}" if first.call.object else ""
        more = f" and {len(questions) - 1} more" if len(questions) > 1 else ""
        left = max(0, int(first.deadline - now))
        asks = f"{first.tenant}/{first.name} asks for {first.call.name}{about}"
        self.update(Content(clean(f"? {asks}: {left} s left{more}{f'; {key} answers' if key else ''}")))
