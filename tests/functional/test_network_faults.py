"""What somebody removes or kills of networks while instances run is put back."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kwhost.core.model.ids import TenantName
from kwhost.net.names import bridge_name, owner_of
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.wishes import Namespace
from tests.functional.hosting import eventually
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.functional.test_networks import PORT, can_call, instance, reached, wait_serving
from tests.net.forwarding import forwarders

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]


@pytest.fixture(scope="module")
def hosting() -> Iterator[NetworkDaemon]:
    """A tenant with two instances."""
    both = instance("acme", "one") + instance("acme", "two")
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + both) as daemon:
        for name in ("acme/one", "acme/two"):
            wait_serving(daemon, name)
        yield daemon


@pytest.mark.parametrize(
    "loss", ["bridge", "rules", "gateway's address", "interface inside", "address inside"]
)
def test_what_somebody_removes_while_instances_run_is_put_back(hosting: NetworkDaemon, loss: str) -> None:
    """On the host, and in the network namespace of an instance; by a reload, which does what upkeep does."""
    one, two = (hosting.instance(f"acme/{name}") for name in ("one", "two"))
    inside = f"/proc/{one['pid']}/ns/net"
    gateway = one["addresses"][0].rpartition(".")[0] + ".1"
    bridge = bridge_name(owner_of(str(hosting.state_dir)), TenantName("acme"))
    links = hosting.links()

    def remove() -> None:
        with open_session() as session:
            match loss:
                case "bridge":
                    session.link("del", ifname=bridge)
                case "rules":
                    Nft().run(f"flush table inet kwhost-{owner_of(str(hosting.state_dir))}")
                case "gateway's address":
                    index = session.link_lookup(ifname=bridge)[0]
                    session.addr("del", index=index, address=gateway, prefixlen=24)
                case "interface inside":
                    session.link("del", ifname="eth0")
                case "address inside":
                    session.flush_addr(index=session.link_lookup(ifname="eth0")[0])

    if loss.endswith("inside"):
        run_inside(Namespace(inside), remove)
    else:
        hosting.inside(remove)
    assert hosting.run("reload").returncode == 0

    assert hosting.links() == links
    places = {two["addresses"][0], two["addresses"][1], gateway}
    assert reached(hosting, "acme/one", *places) == {
        (address, transport) for address in two["addresses"] for transport in ("tcp", "udp", "icmp")
    }
    assert can_call(hosting, one["addresses"][0]) == "one"


def test_a_call_is_answered_right_after_the_forwarder_was_killed() -> None:
    """The daemon has its ports; a later daemon too."""
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one", PORT)) as daemon:
        wait_serving(daemon, "acme/one")
        eventually(lambda: can_call(daemon, "127.0.0.1", 8080), "the port is served")
        for _ in range(2):
            [process] = forwarders(daemon.run_dir)

            os.kill(process, signal.SIGKILL)

            assert can_call(daemon, "127.0.0.1", 8080) == "one"
            assert forwarders(daemon.run_dir) != [process]
            assert "the forwarder of published ports has ended" in daemon.said
            daemon.kill()
            daemon.start()
            daemon.wait_state("acme/one", "running")
            eventually(lambda: holds_ports(daemon), "the daemon has the ports too")


def holds_ports(daemon: NetworkDaemon) -> bool:
    """Whether the daemon and the forwarder have a socket in common."""
    assert daemon.process
    [forwarder] = forwarders(daemon.run_dir)
    return bool(sockets_of(daemon.process.pid) & sockets_of(forwarder))


def sockets_of(pid: int) -> set[str]:
    """Names of the sockets that a process has open now."""
    names = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            names.add(os.readlink(link))
    return {name for name in names if name.startswith("socket:")}
