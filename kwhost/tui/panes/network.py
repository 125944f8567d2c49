"""The instance's network: what passes, what was refused and why, what it may call, which ports lead to it."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import HOST_NETWORK, NO_NETWORK, Egress, NetworkLimits
from kwhost.core.model.text import clean
from kwhost.tui.fleet import Row, growth
from kwhost.tui.format import amount, rate, size, sparkline
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["NetworkPane", "Refusal", "refusals"]

# A reload may change what an instance may call, and its limits.
_SECONDS = 5.0
_SPARK = 24

# By the names that the API has for them (kwhost.net.reasons); others are shown by these.
_REASONS = {
    "other_tenant": "to another tenant's instance",
    "host": "to this host",
    "special_address": "to a private, link-local or other special address",
    "egress": "to where no egress rule allows",
    "connections": "more connections than its limit",
    "isolated": "to or from another instance: it or that one is isolated",
    "not_published": "to a port that is not published",
    "packet_rate": "more packets a second than its limit",
    "uplink": "across an uplink that does not lead there",
    "hardware_address": "with a hardware address that is not its own",
    "false_arp": "ARP that says what is not so",
    "source_address": "from an address that is not its own",
    "foreign_protocol": "of another protocol than IPv4, IPv6 and ARP",
    "neighbour_discovery": "neighbour discovery that says what is not so",
}


class Refusal(NamedTuple):
    """Packets that were refused for one reason: so many `since` the instance was attached, and a second."""

    reason: str
    packets: int
    rate: float | None


def refusals(row: Row) -> list[Refusal]:
    """All of an instance."""
    now, before = row.usage.refused_packets or {}, row.before.refused_packets
    return [
        Refusal(
            _REASONS.get(name, name),
            count,
            None if before is None else growth(before.get(name, 0), count, row.seconds),
        )
        for name, count in now.items()
    ]


_COLUMNS: list[Column[Refusal]] = [
    Column("refused packets", 0, lambda refusal: refusal.reason, lambda refusal: refusal.reason),
    Column(
        "a second",
        9,
        lambda refusal: Cell(rate(refusal.rate), Tone.BAD if refusal.rate else Tone.DIM),
        lambda refusal: refusal.rate or 0.0,
        right=True,
        descending=True,
    ),
    Column(
        "packets",
        9,
        lambda refusal: amount(refusal.packets),
        lambda refusal: refusal.packets,
        right=True,
        descending=True,
    ),
]


class NetworkPane(Pane):
    """Lines about the network, and a table of what it refused."""

    DEFAULT_CSS = """
    NetworkPane RowTable { height: 1fr; }
    NetworkPane #network-state { height: auto; max-height: 60%; padding: 0 1; text-wrap: nowrap;
        text-overflow: ellipsis; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._state = Static("", id="network-state", markup=False)
        self._table = RowTable[Refusal](
            _COLUMNS,
            lambda refusal: refusal.reason,
            sort="packets",
            empty="No packet was refused.",
            id="refusal-table",
        )
        self._definition: InstanceDefinition | None = None

    def compose(self) -> ComposeResult:
        """The lines, the table."""
        yield self._state
        yield self._table

    def take_focus(self) -> None:
        """The table has the keys."""
        self._table.focus()

    async def follow(self) -> None:
        """What it may do; what passes comes with the host's statistics."""
        while True:
            self._definition = read(await self.ask("definition"), InstanceDefinition)
            self.show_state()
            await asyncio.sleep(_SECONDS)

    def show_state(self) -> None:
        """The newest second."""
        row = self.host.fleet.row(self.instance)
        if row is None:
            return
        self._table.set_rows(refusals(row))
        lines = [_line("network", _where(row)), *_passing(row)]
        if self._definition and row.status.network != NO_NETWORK:
            lines += _allowed(self._definition, row)
        self._state.update(Content("\n").join(lines))


def _line(label: str, *parts: tuple[str, str]) -> Content:
    return Content.assemble((f"{label:<10}", "$muted"), *((clean(text), style) for text, style in parts))


def _where(row: Row) -> tuple[str, str]:
    status = row.status
    if status.network == NO_NETWORK:
        return "none: its own loopback, and nothing else", ""
    if status.network == HOST_NETWORK:
        return "this host's own, where nothing is counted", "$warning"
    return "   ".join([status.network, *status.addresses, status.mac or ""]), "bold"


def _passing(row: Row) -> Iterable[Content]:
    """Both directions, where they are counted."""
    now, before = row.usage, row.before
    ways = (
        ("received", row.received, row.received_history, now.received_bytes,
         growth(before.received_packets, now.received_packets, row.seconds)),
        ("sent", row.sent, row.sent_history, now.sent_bytes,
         growth(before.sent_packets, now.sent_packets, row.seconds)),
    )  # fmt: skip
    for label, bytes_, history, total, packets in ways:
        if total is not None:
            yield _line(
                label,
                (f"{_each(bytes_):>9} ", "bold $accent"),
                (f"{rate(packets):>6} packets/s {size(total):>8} in all  ", ""),
                (sparkline(history, _SPARK), "$accent"),
            )


def _each(bytes_: float | None) -> str:
    return "-" if bytes_ is None else f"{size(bytes_)}/s"


def _allowed(definition: InstanceDefinition, row: Row) -> Iterable[Content]:
    """What it may call and what leads to it: where all is the host's, only that."""
    traffic = definition.traffic
    if row.status.network != HOST_NETWORK:
        yield _line("limits", (_limits(traffic.limits), ""), (" besides its tenant's", "$muted"))
        calls = ", ".join(map(_egress, traffic.egress)) or "nothing"
        yield _line("may call", (calls, ""), (" besides what its tenant may", "$muted"))
        if traffic.isolated:
            yield _line("isolated", ("from the other instances of its tenant", ""))
    yield _line("ports", (", ".join(row.status.ports) or "none are published", "$accent"))


def _limits(limits: NetworkLimits) -> str:
    given = msgspec.to_builtins(limits)
    units = {"upload": "bit/s", "download": "bit/s", "upload_packets": "/s", "download_packets": "/s"}
    words = [
        f"{name.replace('_', ' ')} {amount(value)}{units.get(name, '')}"
        for name, value in given.items()
        if value is not None
    ]
    return ", ".join(words) or "none"


def _egress(rule: Egress) -> str:
    ports = ""
    if rule.ports:
        first, last = rule.ports
        ports = f" {first}" if first == last else f" {first}-{last}"
    return f"{rule.to}{f' {rule.transport.value}' if rule.transport else ''}{ports}"
