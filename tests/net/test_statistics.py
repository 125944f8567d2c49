"""What an instance sent and received is counted, and what was refused with the reason."""

import pytest

from kwhost.core.model.network import Transport
from kwhost.net.reasons import Reason
from kwhost.net.statistics import read_counts
from tests.net.probes import is_cut_off, reaches
from tests.net.world import HOST4, LOCAL4, OUTSIDE4, World

pytestmark = [pytest.mark.net, pytest.mark.root]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (HOST4, Reason.HOST),
        (OUTSIDE4, Reason.EGRESS),
        (LOCAL4, Reason.SPECIAL_ADDRESS),
        ("other", Reason.OTHER_TENANT),
    ],
)
def test_a_refused_packet_is_counted_under_its_reason(world: World, address: str, reason: Reason) -> None:
    one, stranger = world.of(0, 0), world.of(1, 0)
    target = str(stranger.address4) if address == "other" else address

    assert is_cut_off(world.place(one), world.outside, target, Transport.UDP)

    assert read_counts(world.host, world.wishes)[one.instance].refused == {reason: 1}


def test_what_is_sent_and_received_is_counted(world: World) -> None:
    one, other = world.of(0, 0), world.of(0, 1)
    before = read_counts(world.host, world.wishes)[one.instance]

    assert reaches(world.place(one), world.place(other), str(other.address4), Transport.ICMP)

    after = read_counts(world.host, world.wishes)[one.instance]
    assert after.sent_packets > before.sent_packets
    assert after.received_packets > before.received_packets
    assert after.sent_bytes > before.sent_bytes
    assert after.received_bytes > before.received_bytes
