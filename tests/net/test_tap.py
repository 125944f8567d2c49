"""A tap whose descriptor somebody drives, as an engine with a guest kernel would: through the same rules."""

import os
import select
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Transport
from kwhost.net.host import HostNetwork
from kwhost.net.layout import port_of
from kwhost.net.names import Mac, instance_mac
from kwhost.net.tap import VNET_HEADER_SIZE
from kwhost.net.wishes import Attachment, TapEnd
from tests.net.frames import arp_reply, ethernet, octets
from tests.net.probes import checksum, reaches
from tests.net.world import OWNER, World

pytestmark = [pytest.mark.net, pytest.mark.root]


class Peer:
    """Answers ARP and IPv4 echo requests as the instance; what it says it is can be a lie."""

    def __init__(self, one: Attachment, descriptors: list[int]) -> None:
        self.mac = instance_mac(OWNER, one.tenant, one.name)
        self.address = one.address4
        self.descriptors = descriptors

    def answer(self, frame: bytes) -> bytes | None:
        source, kind = Mac(frame[6:12].hex(":")), int.from_bytes(frame[12:14])
        if kind == 0x0806 and frame[20:22] == b"\0\1" and frame[38:42] == self.address.packed:
            asker = type(self.address)(frame[28:32])
            return ethernet(source, self.mac, kind, arp_reply(self.mac, self.address, source, asker))
        if kind == 0x0800 and frame[23] == 1 and frame[34] == 8 and frame[30:34] == self.address.packed:
            head = frame[14:26] + self.address.packed + frame[26:30]
            head = head[:10] + b"\0\0" + head[12:]
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
            body = b"\0\0\0\0" + frame[38 : 14 + int.from_bytes(frame[16:18])]
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            return octets(source) + octets(self.mac) + frame[12:14] + head + body
        return None

    def serve(self, stop: int) -> None:
        while True:
            ready = select.select([stop, *self.descriptors], [], [])[0]
            if stop in ready:
                return
            for descriptor in ready:
                frame = os.read(descriptor, 65536)[VNET_HEADER_SIZE:]
                if answer := self.answer(frame):
                    os.write(descriptor, bytes(VNET_HEADER_SIZE) + answer)


@contextmanager
def driven(world: World, one: Attachment, queues: int) -> Iterator[Peer]:
    descriptors = world.host.open_tap(one, queues)
    stop, stopper = os.pipe()
    peer = Peer(one, descriptors)
    thread = Thread(target=peer.serve, args=(stop,))
    thread.start()
    try:
        yield peer
    finally:
        os.close(stopper)
        thread.join()
        for descriptor in (stop, *descriptors):
            os.close(descriptor)


def with_tap(world: World, end: TapEnd) -> Attachment:
    return world.change(world.of(0, 0), end=end)


@pytest.mark.parametrize(("end", "queues"), [(TapEnd(uid=1234), 2), (TapEnd(uid=1234, multi_queue=False), 1)])
def test_a_tap_answers_its_tenant_and_nobody_else(world: World, end: TapEnd, queues: int) -> None:
    one = with_tap(world, end)
    friend, stranger = world.of(0, 1), world.of(1, 0)

    with driven(world, one, queues):
        assert reaches(world.place(friend), world.place(one), str(one.address4), Transport.ICMP)
        assert not reaches(world.place(stranger), world.place(one), str(one.address4), Transport.ICMP)


@pytest.mark.hw
def test_a_tap_that_says_it_is_somebody_else_is_not_heard(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234))
    friend = world.of(0, 1)

    with driven(world, one, 1) as peer:
        peer.mac = Mac("02:00:00:00:00:99")

        assert not reaches(world.place(friend), world.place(one), str(one.address4), Transport.ICMP)


def test_a_tap_outlives_its_holder_and_the_daemon(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234))
    friend = world.of(0, 1)
    with driven(world, one, 2):
        restarted = HostNetwork(OWNER, world.namespace)
        assert restarted.reconcile(world.wishes) == {}
        assert reaches(world.place(friend), world.place(one), str(one.address4), Transport.ICMP)

    with driven(world, one, 1):
        assert reaches(world.place(friend), world.place(one), str(one.address4), Transport.ICMP)


def test_more_queues_than_a_tap_has_are_an_error_that_names_it(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234, multi_queue=False))

    with pytest.raises(NetworkError, match=f"the tap {port_of(one)} has one queue, not 2"):
        world.host.open_tap(one, 2)


def test_a_tap_that_is_in_use_is_an_error_that_names_it(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234, multi_queue=False))

    with (
        driven(world, one, 1),
        pytest.raises(NetworkError, match=f"cannot open the tap {port_of(one)}: Device or resource busy"),
    ):
        world.host.open_tap(one, 1)


def test_an_instance_on_a_veth_pair_has_no_tap(world: World) -> None:
    with pytest.raises(NetworkError, match="acme/one is not attached by a tap"):
        world.host.open_tap(replace(world.of(0, 0)), 1)
