"""Taps of instances, driven as an engine with a guest kernel would."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from kwhost.net.layout import port_of
from kwhost.net.names import instance_mac
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Attachment
from tests.net.peer import Peer
from tests.net.probes import until
from tests.net.vnet import drive, offload
from tests.net.world import OWNER, World
from tests.patience import SECONDS

__all__ = ["driven"]

_BRIDGE_PORT_FORWARDS = 3  # BR_STATE_FORWARDING


def _forwards(world: World, one: Attachment) -> bool:
    def read() -> bool:
        with open_session() as session:
            [link] = session.link("get", ifname=port_of(one))
        data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_SLAVE_DATA")
        return bool(data.get_attr("IFLA_BRPORT_STATE") == _BRIDGE_PORT_FORWARDS)

    return run_inside(world.namespace, read)


@contextmanager
def driven(world: World, one: Attachment, queues: int, *, offloads: bool = False) -> Iterator[Peer]:
    """A peer that drives an instance's tap."""
    descriptors = world.host.open_tap(one, queues)
    if offloads:
        offload(descriptors[0])
    # The kernel brings the bridge's port up a moment after the tap was opened. What was sent before would be
    # lost, and a lost question for an address is asked again only after a second.
    until(lambda: _forwards(world, one), SECONDS)
    stop, stopper = os.pipe()
    peer = Peer(instance_mac(OWNER, one.tenant, one.name), one.address4, one.address6)
    thread = Thread(target=drive, args=(peer, descriptors, stop))
    thread.start()
    try:
        yield peer
    finally:
        os.close(stopper)
        thread.join()
        for descriptor in (stop, *descriptors):
            os.close(descriptor)
