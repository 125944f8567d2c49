"""Instances of tenants in networks, from a configuration file to connections that are made from inside."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kwhost.net.netlink import open_session
from tests.functional.hosting import eventually
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.net.forwarding import forwarders
from tests.net.namespaces import write_setting

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

# Answers on TCP and UDP, IPv4 and IPv6, with its name.
SERVER = """
import selectors, socket, sys
found, name = selectors.DefaultSelector(), socket.gethostname().encode()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    served = socket.socket(socket.AF_INET6, kind)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    served.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    served.bind(("::", int(sys.argv[1])))
    if kind == socket.SOCK_STREAM:
        served.listen()
    found.register(served, selectors.EVENT_READ, kind)
held = []
while True:
    for key, _ in found.select():
        if key.data == socket.SOCK_DGRAM:
            served.sendto(name, served.recvfrom(100)[1])
        elif key.data == socket.SOCK_STREAM:
            connection, _ = key.fileobj.accept()
            connection.sendall(name)
            found.register(connection, selectors.EVENT_READ, None)
        elif data := key.fileobj.recv(100):
            key.fileobj.sendall(data)
        else:
            found.unregister(key.fileobj)
            key.fileobj.close()
"""

# Tells which of its arguments (addresses) answer, by transport.
CALLER = """
import json, os, socket, sys
def calls(address, transport):
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    protocol = (58 if six else 1) if transport == "icmp" else 0
    with socket.socket(family, kind, protocol) as caller:
        caller.settimeout(20)
        try:
            caller.connect((address, 0 if transport == "icmp" else 80))
            if transport == "udp":
                caller.send(b"?")
            if transport == "icmp":
                caller.send(bytes((128 if six else 8, 0, 0, 0, 0, 0, 0, 1)))
            return bool(caller.recv(100))
        except OSError:
            return False
print(json.dumps([[a, t] for a in sys.argv[1:] for t in ("tcp", "udp", "icmp") if calls(a, t)]))
"""

NAMES = ("one", "two", "three")
PORT = "ports = ['8080:80']"


def instance(tenant: str, name: str, more: str = "", port: int = 80) -> str:
    command = json.dumps(["python3", "-S", "-E", "-c", SERVER, str(port)])
    table = f"[tenants.{tenant}.instances.{name}]\ncommand = {command}\n"
    return f"{table}user = 'nobody'\nstop_timeout = '0s'\n{more}\n"


TWO_TENANTS = "".join(
    f"[tenants.{tenant}]\nnetwork = {{}}\n" + "".join(instance(tenant, name) for name in NAMES)
    for tenant in ("acme", "globex")
)


@pytest.fixture(scope="module")
def hosting() -> Iterator[NetworkDaemon]:
    """Two tenants with three instances each."""
    with network_daemon(TWO_TENANTS) as daemon:
        for tenant in ("acme", "globex"):
            for name in NAMES:
                wait_serving(daemon, f"{tenant}/{name}")
        yield daemon


def wait_serving(daemon: NetworkDaemon, name: str) -> list[str]:
    """Its addresses, once its server answers."""
    addresses: list[str] = daemon.wait_state(name, "running")["addresses"]
    eventually(lambda: can_call(daemon, addresses[0]), f"{name} serves")
    return addresses


def can_call(daemon: NetworkDaemon, address: str, port: int = 80) -> str:
    """What somebody answers to the host; "" for nobody."""
    try:
        with daemon.connect(address, port) as connection:
            return connection.recv(100).decode()
    except OSError:
        return ""


def reached(daemon: NetworkDaemon, source: str, *addresses: str) -> set[tuple[str, str]]:
    """Which addresses answer to an instance, by which transport."""
    done = daemon.run("exec", source, "--", "python3", "-S", "-E", "-c", CALLER, *addresses)
    assert done.returncode == 0, done.stderr
    return {(address, transport) for address, transport in json.loads(done.stdout)}


def test_instances_reach_those_of_their_tenant_and_no_others(hosting: NetworkDaemon) -> None:
    """Over IPv4 and IPv6, TCP, UDP and ICMP, each from within."""
    every = {
        f"{tenant}/{name}": hosting.instance(f"{tenant}/{name}")["addresses"]
        for tenant in ("acme", "globex")
        for name in NAMES
    }
    addresses = [address for pair in every.values() for address in pair]

    for source in every:
        own = {address for name, pair in every.items() if name[:2] == source[:2] for address in pair}
        expected = {(address, transport) for address in own for transport in ("tcp", "udp", "icmp")}
        assert reached(hosting, source, *addresses) == expected


def test_the_host_itself_is_out_of_reach(hosting: NetworkDaemon) -> None:
    address = hosting.instance("acme/one")["addresses"][0]
    gateway = address.rpartition(".")[0] + ".1"
    with hosting.inside(socket.socket) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", 80))
        server.listen()

        assert not reached(hosting, "acme/one", gateway)


def test_what_passed_is_counted(hosting: NetworkDaemon) -> None:
    wait_serving(hosting, "acme/two")

    usage = json.loads(hosting.run("inspect", "acme/two").stdout)[0]["usage"]

    assert usage["sent_bytes"] > 0
    assert usage["received_packets"] > 0


def test_what_an_instance_is_connected_with_is_told(hosting: NetworkDaemon) -> None:
    (address, *_) = hosting.wait_state("acme/one", "running")["addresses"]

    def told(state: str) -> list[tuple[str, str]]:
        answer = hosting.client.request("GET", "/v1/instances/acme%2Fone/connections")
        assert answer["left_out"] == 0
        return [
            (each["transport"], each["local"]) for each in answer["connections"] if each["state"] == state
        ]

    with hosting.connect(address, 80) as connection:
        connection.recv(100)
        assert told("established") == [("tcp", f"{address}:80")]
    assert told("listen") == [("tcp", "[::]:80")]
    assert told("open") == [("udp", "[::]:80")]
    eventually(lambda: not told("established"), "the connection's end")


def test_a_killed_daemon_breaks_no_connection_and_the_next_one_goes_on(hosting: NetworkDaemon) -> None:
    before = {name: hosting.instance(f"acme/{name}")["addresses"] for name in NAMES}
    links = hosting.links()
    with hosting.connect(before["one"][0], 80) as connection:
        assert connection.recv(100) == b"one"

        hosting.kill()
        connection.sendall(b"alone")
        assert connection.recv(100) == b"alone"
        hosting.start()
        connection.sendall(b"adopted")

        assert connection.recv(100) == b"adopted"
    assert {name: hosting.instance(f"acme/{name}")["addresses"] for name in NAMES} == before
    assert hosting.links() == links
    assert (before["two"][0], "tcp") in reached(hosting, "acme/one", before["two"][0])


def test_reload_keeps_connections_and_puts_back_what_was_removed(hosting: NetworkDaemon) -> None:
    address = hosting.instance("acme/one")["addresses"][0]
    links = hosting.links()
    victim = next(name for name in links if hosting.instance("globex/one")["id"] in name)

    def remove() -> None:
        with open_session() as session:
            session.link("del", index=session.link_lookup(ifname=victim)[0])

    with hosting.connect(address, 80) as connection:
        assert connection.recv(100) == b"one"
        hosting.inside(remove)
        assert hosting.links() == links - {victim}

        done = hosting.run("reload")

        assert done.returncode == 0, done.stderr
        connection.sendall(b"still")
        assert connection.recv(100) == b"still"
    assert hosting.links() == links
    assert can_call(hosting, hosting.instance("globex/one")["addresses"][0]) == "one"


def test_an_instance_that_ends_leaves_nothing_and_comes_back_with_its_addresses(
    hosting: NetworkDaemon,
) -> None:
    before = hosting.instance("globex/three")
    assert any(before["id"] in link for link in hosting.links())

    hosting.run("stop", "globex/three")
    eventually(lambda: not any(before["id"] in link for link in hosting.links()), "the end of its link")
    hosting.run("start", "globex/three")

    assert wait_serving(hosting, "globex/three") == before["addresses"]


def test_when_nobody_is_attached_nothing_is_left() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one")) as daemon:
        wait_serving(daemon, "acme/one")
        assert daemon.links()
        assert daemon.tables()

        daemon.run("stop", "acme/one")

        assert not daemon.links()
        assert not daemon.tables()


def test_an_instance_without_a_network_touches_nothing() -> None:
    with network_daemon("[tenants.acme]\n" + instance("acme", "one")) as daemon:
        assert daemon.wait_state("acme/one", "running")["network"] == "none"

        assert not daemon.links()
        assert not daemon.tables()


def test_the_hosts_network_is_had_where_it_is_allowed() -> None:
    configuration = "[host]\nallow_host_network = true\n[tenants.acme]\n"
    with network_daemon(configuration + instance("acme", "one", "network = 'host'", 8000)) as daemon:
        daemon.wait_state("acme/one", "running")

        assert eventually(lambda: can_call(daemon, "127.0.0.1", 8000)) == "one"


def test_daemon_ends_with_its_instances_and_leaves_nothing() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one")) as daemon:
        wait_serving(daemon, "acme/one")

        daemon.signal(signal.SIGINT)

        assert not daemon.links()
        assert not daemon.tables()


def test_a_port_on_another_address_leads_to_the_instance() -> None:
    more = "ports = ['192.0.2.1:8080:80', '192.0.2.1:8080:80/udp']"
    with network_daemon("") as daemon:
        set_up_address(daemon)
        daemon.config.write_text("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one", more))
        assert daemon.run("reload").returncode == 0
        wait_serving(daemon, "acme/one")

        assert eventually(lambda: can_call(daemon, "192.0.2.1", 8080)) == "one"
        assert daemon.instance("acme/one")["ports"] == ["192.0.2.1:8080->80/tcp", "192.0.2.1:8080->80/udp"]
        daemon.run("stop", "acme/one")
        assert can_call(daemon, "192.0.2.1", 8080) == ""


def set_up_address(daemon: NetworkDaemon) -> None:
    def add() -> None:
        with open_session() as session:
            session.addr("add", index=1, address="192.0.2.1", prefixlen=32)

    daemon.inside(add)


def test_a_port_is_published_and_taken_back_while_an_instance_runs() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one")) as daemon:
        wait_serving(daemon, "acme/one")
        assert can_call(daemon, "127.0.0.1", 8080) == ""

        assert daemon.run("publish", "acme/one", "8080:80").returncode == 0
        assert eventually(lambda: can_call(daemon, "127.0.0.1", 8080)) == "one"
        again = daemon.run("publish", "acme/one", "8080:80")
        assert "already" in again.stderr

        assert daemon.run("publish", "--remove", "acme/one", "8080:80").returncode == 0
        assert can_call(daemon, "127.0.0.1", 8080) == ""
        assert daemon.instance("acme/one")["ports"] == []


def test_a_port_that_is_taken_is_an_error_before_anything_starts() -> None:
    more = "ports = ['*:8080:80']"
    with network_daemon("[tenants.acme]\nnetwork = {}\n") as daemon:
        with daemon.inside(socket.socket) as server:
            server.bind(("0.0.0.0", 8080))
            server.listen()
            daemon.config.write_text("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one", more))
            daemon.run("reload")
            failed = daemon.wait_state("acme/one", "failed")

        assert "8080" in failed["message"]
        assert "taken" in failed["message"]
        assert not daemon.links()


REPLICAS = (
    "ports = ['8080:80', '127.0.0.1:8080:80/udp', '[::1]:8081:80']\nreplicas = 2\n"
    "healthcheck = { command = ['test', '!', '-e', '/tmp/ill'], interval = '100ms', retries = 1 }"
)


def test_replicas_share_a_port_on_loopback_and_unhealthy_ones_are_left_out() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "web", REPLICAS)) as daemon:
        for name in ("web-1", "web-2"):
            wait_serving(daemon, f"acme/{name}")

        def answers() -> set[str]:
            return {can_call(daemon, "127.0.0.1", 8080) for _ in range(8)}

        eventually(lambda: answers() == {"web-1", "web-2"}, "both answer")
        assert can_call(daemon, "::1", 8081) in {"web-1", "web-2"}
        daemon.run("exec", "web-1", "--", "touch", "/tmp/ill")
        eventually(lambda: answers() == {"web-2"}, "the unhealthy one is left out")


def test_a_connection_through_a_published_port_outlives_the_daemon() -> None:
    more = "ports = ['8080:80']"
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one", more)) as daemon:
        wait_serving(daemon, "acme/one")
        with daemon.connect("127.0.0.1", 8080) as connection:
            assert connection.recv(100) == b"one"

            daemon.kill()
            connection.sendall(b"alone")
            assert connection.recv(100) == b"alone"
            assert can_call(daemon, "127.0.0.1", 8080) == "one"
            daemon.start()
            connection.sendall(b"adopted")

            assert connection.recv(100) == b"adopted"
        assert can_call(daemon, "127.0.0.1", 8080) == "one"


def test_instances_find_each_other_by_name_and_nobody_elses(hosting: NetworkDaemon) -> None:
    script = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET)[0][4][0])"

    def resolved(name: str) -> str:
        done = hosting.run("exec", "acme/one", "--", "python3", "-c", script, name)
        return str(done.stdout).strip()

    two = hosting.instance("acme/two")["addresses"][0]
    assert [resolved(name) for name in ("two", "two.acme", "two.acme.kwhost")] == [two] * 3
    assert resolved("two.globex.kwhost") == ""


def resolvers(run_dir: Path) -> list[int]:
    """Processes that write to this run directory's log of the resolver."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "fd/1") == str(run_dir / "resolve.log"):
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("killed", ["daemon", "and forwarder, resolver"])
def test_a_reset_removes_what_a_killed_daemon_left(killed: str) -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one", PORT)) as daemon:
        wait_serving(daemon, "acme/one")
        serving = [*forwarders(daemon.run_dir), *resolvers(daemon.run_dir)]
        assert len(serving) == 2
        daemon.kill()
        if killed != "daemon":
            for process in serving:
                os.kill(process, signal.SIGKILL)

        assert daemon.run("system", "reset", "--yes").returncode == 0

        assert not daemon.links()
        assert not daemon.tables()
        assert not daemon.run_dir.exists()
        assert not daemon.state_dir.exists()
        assert can_call(daemon, "127.0.0.1", 8080) == ""


def test_what_the_host_lacks_is_an_error_of_those_that_need_it() -> None:
    more = "traffic = { egress = [{ to = '0.0.0.0/0' }] }"
    with network_daemon("[tenants.acme]\nnetwork = {}\n") as daemon:
        write_setting(daemon.namespace, "ipv4/ip_forward", "0")
        alone = instance("acme", "alone", "network = 'none'")
        inner = instance("acme", "inner")
        daemon.config.write_text(
            "[tenants.acme]\nnetwork = {}\n" + instance("acme", "outer", more) + alone + inner
        )

        daemon.run("reload")

        assert "sysctl net.ipv4.ip_forward=1" in daemon.wait_state("acme/outer", "failed")["message"]
        daemon.wait_state("acme/alone", "running")
        daemon.run("start", "acme/inner")
        daemon.wait_state("acme/inner", "running")


def test_a_reload_changes_ports_and_traffic_of_what_runs() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n" + instance("acme", "one")) as daemon:
        address = wait_serving(daemon, "acme/one")[0]
        with daemon.connect(address, 80) as connection:
            assert connection.recv(100) == b"one"
            daemon.config.write_text(
                "[tenants.acme]\nnetwork = { connections = 100 }\n" + instance("acme", "one", PORT)
            )

            done = daemon.run("reload")

            assert done.returncode == 0, done.stderr
            connection.sendall(b"same run")
            assert connection.recv(100) == b"same run"
        assert can_call(daemon, "127.0.0.1", 8080) == "one"


PLUGIN = """
from pathlib import Path
from pyroute2 import IPRoute
from kwhost.hookspecs import NetworkOffer, hookimpl

def attach(request):
    with IPRoute() as host:
        host.link("add", ifname="lab0", kind="veth", peer={"ifname": "lab1", "net_ns_fd": request.namespace})

def detach(request):
    Path(__file__).with_name("detached").write_text(request.name)

@hookimpl
def networks():
    return [NetworkOffer(name="lab", summary="a laboratory", attach=attach, detach=detach)]
"""


def test_a_plugins_network_attaches_an_instance() -> None:
    with network_daemon("") as daemon:
        daemon.signal(signal.SIGTERM)
        plugin = daemon.directory / "lab.py"
        plugin.write_text(PLUGIN)
        daemon.config.write_text(
            f"[host]\nplugins = ['{plugin}']\n[tenants.acme]\n" + instance("acme", "one", "network = 'lab'")
        )
        daemon.start()
        daemon.wait_state("acme/one", "running")

        links = daemon.run("exec", "acme/one", "--", "ls", "/sys/class/net").stdout.split()
        daemon.run("stop", "acme/one")

        assert links == ["lab1", "lo"]
        assert (daemon.directory / "detached").read_text() == "one"


def test_run_publishes_a_port() -> None:
    with network_daemon("[tenants.acme]\nnetwork = {}\n") as daemon:
        program = ["python3", "-S", "-E", "-c", SERVER, "80"]
        done = daemon.run("run", "-d", "--tenant", "acme", "--name", "web", "-p", "8080:80", "--", *program)
        assert done.returncode == 0, done.stderr

        assert eventually(lambda: can_call(daemon, "127.0.0.1", 8080)) == "web"
        assert "127.0.0.1:8080->80/tcp" in daemon.run("ps").stdout
