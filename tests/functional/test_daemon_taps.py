"""Instances of an engine that drives taps, in their tenant's network: from a configuration to connections."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kwhost.core.errors import HostError, UsageError
from tests.functional.daemon_requests import act, create
from tests.functional.hosting import eventually
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.net.namespaces import join, new_namespace, set_address
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

HOST4, HOST6 = "8.8.8.1", "2606:4700::1"
PLUGIN = Path(__file__).with_name("tap_engine.py")
ENGINE = f"""
[host]
plugins = ["{PLUGIN}"]
block_plugins = ["engine_direct"]
"""
INSTANCES = f"""
[tenants.acme]
network = {{}}
[tenants.acme.instances.web]
command = "anything"
stop_timeout = "0s"
ports = ["{HOST4}:8080:80", "[{HOST6}]:8080:80"]
[tenants.globex]
network = {{}}
[tenants.globex.instances.web]
command = "anything"
"""
BROKEN = """
from kwhost.core.model.instance import Isolation
from kwhost.core.model.rules import EVERY_RULE
from kwhost.hookspecs import EngineOffer, hookimpl

class Broken:
    def __init__(self, lease):
        pass

    def launch_hosted(self, plan, ends):
        [tap] = ends.taps
        raise RuntimeError(f"{len(tap.queues)} queues, out of order")

@hookimpl
def engines():
    return (
        EngineOffer(
            name="direct", isolation=Isolation.VM, factory=Broken, enforces=EVERY_RULE, tap_queues=2
        ),
    )
"""


@pytest.fixture
def daemon() -> Iterator[NetworkDaemon]:
    """Its host has addresses beside those of its loopback interface."""
    with network_daemon(ENGINE) as made, new_namespace() as outside:
        join(made.namespace, "uplink", outside, "eth0")
        set_address(made.namespace, "uplink", f"{HOST4}/24", f"{HOST6}/64")
        made.config.write_text(ENGINE + INSTANCES)
        assert made.run("reload").returncode == 0
        yield made


def call(daemon: NetworkDaemon, address: str) -> socket.socket:
    """A connection to the published port, once there is one."""

    def attempt() -> socket.socket | None:
        try:
            return daemon.connect(address, 8080)
        except OSError:
            return None

    made: socket.socket = eventually(attempt, f"a connection to {address}")
    made.settimeout(SECONDS)
    return made


def says(connection: socket.socket, text: bytes) -> bytes:
    """What comes back for it."""
    connection.sendall(text)
    received = b""
    while len(received) < len(text) and (more := connection.recv(65536)):
        received += more
    return received


def opened_taps(pid: int) -> int:
    """How many queues of taps a process has."""
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found += os.readlink(f"/proc/{pid}/fd/{name}") == "/dev/net/tun"
    return found


@pytest.mark.parametrize("address", [HOST4, HOST6])
def test_a_published_port_leads_to_a_tap(daemon: NetworkDaemon, address: str) -> None:
    daemon.wait_state("acme/web", "running")
    content = os.urandom(100_000)

    with call(daemon, address) as connection:
        assert says(connection, content) == content
    with pytest.raises(OSError, match=r"refused|timed out"):
        daemon.connect(address, 8081)


def test_the_engine_alone_has_the_tap_and_there_is_no_other_interface(daemon: NetworkDaemon) -> None:
    statuses = [daemon.wait_state(f"{tenant}/web", "running") for tenant in ("acme", "globex")]
    assert daemon.process

    assert [opened_taps(status["pid"]) for status in statuses] == [2, 2]
    assert opened_taps(daemon.process.pid) == 0
    kinds = sorted(name[:3] for name in daemon.links())
    assert kinds == ["kwb", "kwb", "kwt", "kwt"]


def test_a_connection_survives_the_daemon_and_the_next_one_goes_on(daemon: NetworkDaemon) -> None:
    before = daemon.wait_state("acme/web", "running")
    with call(daemon, HOST4) as connection:
        assert says(connection, b"hello") == b"hello"

        daemon.kill()
        assert says(connection, b"still here") == b"still here"
        daemon.start()
        eventually(lambda: daemon.instance("acme/web")["pid"], "its adoption")
        after = daemon.instance("acme/web")
        assert daemon.run("reload").returncode == 0

        assert says(connection, b"and after") == b"and after"
    assert (after["pid"], after["mac"]) == (before["pid"], before["mac"])
    assert [link for link in daemon.links() if link.endswith(before["id"])] == [f"kwt{before['id']}"]


def test_an_end_leaves_no_tap_and_the_next_start_has_the_same_addresses(daemon: NetworkDaemon) -> None:
    before = daemon.wait_state("acme/web", "running")
    act(daemon, "stop", "acme/web")
    assert f"kwt{before['id']}" not in daemon.links()

    act(daemon, "start", "acme/web")
    after = daemon.wait_state("acme/web", "running")

    assert (after["addresses"], after["mac"]) == (before["addresses"], before["mac"])
    with call(daemon, HOST4) as connection:
        assert says(connection, b"again") == b"again"


def test_an_engine_that_fails_leaves_no_tap_and_no_queue(tmp_path: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(BROKEN)
    with network_daemon(ENGINE.replace(str(PLUGIN), str(plugin))) as daemon:
        with pytest.raises(HostError, match="2 queues, out of order"):
            create(daemon, "web", "anything", network="tenant")
        assert daemon.process

        assert opened_taps(daemon.process.pid) == 0
        assert not daemon.links()


def test_a_port_of_a_loopback_address_is_refused_and_a_reload_with_one_changes_nothing(
    daemon: NetworkDaemon,
) -> None:
    reason = "ports of loopback addresses do not lead to the engine 'direct'"
    with pytest.raises(UsageError, match=reason):
        create(daemon, "loopback", "anything", tenant="acme", ports=[{"port": 8081, "target": 80}])
    before = daemon.wait_state("acme/web", "running")

    daemon.config.write_text(ENGINE + INSTANCES.replace('ports = ["', 'ports = ["8081:80", "'))
    changes = json.loads(daemon.run("reload", "--json").stdout)

    assert [line for line in changes["refused"] if line.startswith("acme/web: ") and reason in line]
    assert daemon.instance("acme/web")["pid"] == before["pid"]
    with call(daemon, HOST4) as connection:
        assert says(connection, b"hello") == b"hello"
