"""What instances sent and received, and what was refused. Blocking."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kwhost.core.model.ids import InstanceId
from kwhost.net.host import HostNetwork
from kwhost.net.layout import port_of
from kwhost.net.listing import Listing, read_tables
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.reasons import Reason
from kwhost.net.wishes import Attachment, Wishes

__all__ = ["NetworkCounts", "read_counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCounts:
    """Since the instance was attached; "sent" is by the instance. `refused` are packets, by reason."""

    sent_bytes: int = 0
    sent_packets: int = 0
    received_bytes: int = 0
    received_packets: int = 0
    refused: Mapping[Reason, int] = field(default_factory=dict)


def read_counts(host: HostNetwork, wishes: Wishes) -> dict[InstanceId, NetworkCounts]:
    """Of every attached instance; one whose link is gone has none. Raises NetworkError."""
    return run_inside(host.namespace, lambda: _read(Nft(), wishes))


def _read(nft: Nft, wishes: Wishes) -> dict[InstanceId, NetworkCounts]:
    listing = read_tables(nft, wishes.owner)
    with open_session() as session:
        totals = {
            message.get_attr("IFLA_IFNAME"): message.get_attr("IFLA_STATS64")
            for message in session.get_links()
        }
    counts = {}
    for one in wishes.attachments:
        if total := totals.get(port_of(one)):
            # What the port receives is what the instance sent.
            counts[one.instance] = NetworkCounts(
                sent_bytes=total["rx_bytes"],
                sent_packets=total["rx_packets"],
                received_bytes=total["tx_bytes"],
                received_packets=total["tx_packets"],
                refused=_refused(listing, one),
            )
    return counts


def _refused(listing: Listing, one: Attachment) -> dict[Reason, int]:
    mine = {port_of(one), str(one.address4), str(one.address6)}
    refused: dict[Reason, int] = {}
    for tallies in listing.tallies.values():
        for key, tally in tallies.items():
            if key[0] in mine:
                reason = Reason(int(key[1]))
                refused[reason] = refused.get(reason, 0) + tally.packets
    return refused
