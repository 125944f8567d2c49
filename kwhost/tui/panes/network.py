"""The instance's network: what passes, what was refused and why, what it may call, and its connections."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from kwhost.core.errors import Conflict
from kwhost.core.model.connections import Connection, Connections, ConnectionState
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

_SECONDS = 1.0
_SPARK = 24

# By the names that the API has for them (kwhost.net.reasons); others are shown by these.
_REASONS = {
    "other_tenant": "to another tenant's instance",
    "host": "to this host",
    "special_address": "to a private or other special address",
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
    """All of an instance, the most frequent first."""
    now, before = row.usage.refused_packets or {}, row.before.refused_packets
    found = [
        Refusal(
            _REASONS.get(name, name),
            count,
            None if before is None else growth(before.get(name, 0), count, row.seconds),
        )
        for name, count in now.items()
    ]
    return sorted(found, key=lambda refusal: (-refusal.packets, refusal.reason))


_ORDER = list(ConnectionState)
_TONES = {
    ConnectionState.ESTABLISHED: Tone.GOOD,
    ConnectionState.LISTEN: Tone.ACCENT,
    ConnectionState.OPEN: Tone.ACCENT,
    ConnectionState.TIME_WAIT: Tone.DIM,
}


def _waiting(count: int) -> Cell:
    return Cell(size(count) if count else "·", Tone.WARNING if count else Tone.DIM)


_COLUMNS: list[Column[Connection]] = [
    Column("", 4, lambda each: Cell(each.transport.value, Tone.DIM)),
    Column(
        "state",
        12,
        lambda each: Cell(each.state.value, _TONES.get(each.state, Tone.PLAIN)),
        lambda each: (_ORDER.index(each.state), each.local, each.remote),
    ),
    Column("with", 30, lambda each: each.remote or "-", lambda each: each.remote),
    Column("its own", 0, lambda each: each.local, lambda each: each.local),
    Column(
        "unread",
        7,
        lambda each: _waiting(each.unread),
        lambda each: each.unread,
        right=True,
        rank=1,
        descending=True,
    ),
    Column(
        "unsent",
        7,
        lambda each: _waiting(each.unsent),
        lambda each: each.unsent,
        right=True,
        rank=2,
        descending=True,
    ),
]


class NetworkPane(Pane):
    """Lines about the network, and a table of connections."""

    DEFAULT_CSS = """
    NetworkPane RowTable { height: 1fr; min-height: 4; }
    NetworkPane #network-state { height: auto; max-height: 75%; padding: 0 1; overflow-y: auto;
        text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._state = Static("", id="network-state", markup=False)
        self._table = RowTable[Connection](
            _COLUMNS,
            lambda each: (each.transport, each.local, each.remote),
            sort="state",
            empty="It has no connections, and listens at no port.",
            id="connection-table",
        )
        self._definition: InstanceDefinition | None = None
        self._left_out = 0

    def compose(self) -> ComposeResult:
        """The lines, the table."""
        yield self._state
        yield self._table

    async def follow(self) -> None:
        """Connections, and what a reload may change; what passes comes with the host's statistics."""
        while True:
            self._definition = read(await self.ask("definition"), InstanceDefinition)
            try:
                open_ = read(await self.ask("connections"), Connections)
            except Conflict:  # it does not run
                open_ = Connections(connections=())
            self._left_out = open_.left_out
            self._table.set_rows(open_.connections)
            self.show_state()
            await asyncio.sleep(_SECONDS)

    def show_state(self) -> None:
        """The newest second."""
        row = self.host.fleet.row(self.instance)
        if row is None:
            return
        lines = [_line("network", _where(row)), *_passing(row)]
        if self._definition and row.status.network != NO_NETWORK:
            lines += _allowed(self._definition, row)
        lines += map(_refused, refusals(row))
        if self._left_out:
            lines.append(_line("", (f"{self._left_out} more connections are not listed here", "$warning")))
        self._state.update(Content("\n").join(lines))


def _refused(refusal: Refusal) -> Content:
    often = "$error" if refusal.rate else "$muted"
    return _line(
        "refused",
        (f"{rate(refusal.rate):>7}/s ", f"bold {often}"),
        (f"{amount(refusal.packets):>6} packets ", ""),
        (refusal.reason, "$accent"),
    )


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
