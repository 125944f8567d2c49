"""Instances and what is outside: through the host's uplink, as rules allow, with the host's address."""

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kwhost.net.wishes import Namespace
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.net.forwarding import serving
from tests.net.namespaces import join, new_namespace, set_address
from tests.net.probes import listening
from tests.net.upstream import UpstreamServer, serve_upstream
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

HOST4, OUTSIDE4, OTHER4 = "8.8.8.1", "8.8.8.8", "8.8.8.9"
HOST6, OUTSIDE6 = "2606:4700::1", "2606:4700::8"
OPEN, CLOSED, CALLED = 7000, 7001, 7002
# In a mount namespace of its own, where names are asked for outside.
ASK_OUTSIDE = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'

# Connects to an address and port, again and again, and repeats what it hears.
CLIENT = """
import socket, sys, time
while True:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
            connection.settimeout(None)
            while data := connection.recv(100):
                connection.sendall(data)
    except OSError:
        time.sleep(0.05)
"""
# Prints by which address it is known to whoever answers at an address and port; nothing where nobody does.
CALLER = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
        print(connection.recv(100).decode())
except OSError:
    pass
"""


class Outside(NamedTuple):
    """What is beyond the uplink of a daemon's host."""

    daemon: NetworkDaemon
    namespace: Namespace
    names: UpstreamServer

    def seen(self, address: str, port: int = OPEN) -> str:
        """As whom somebody there sees `acme/one`, which calls; "" where it does not get there."""
        done = self.daemon.run("exec", "acme/one", "--", "python3", "-c", CALLER, address, str(port))
        assert done.returncode == 0, done.stderr
        return str(done.stdout).strip()


def _tell_address(peer: socket.socket) -> None:
    peer.sendall(peer.getpeername()[0].removeprefix("::ffff:").encode())


@contextmanager
def outside(instances: str) -> Iterator[Outside]:
    """A tenant's instances, and beyond their host two addresses with two ports each, and a resolver."""
    with ExitStack() as stack:
        resolver = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kwhost-")), "resolv.conf")
        resolver.write_text(f"nameserver {OUTSIDE4}\n")
        prefix = ["unshare", "--mount", "sh", "-c", ASK_OUTSIDE, "sh", str(resolver)]
        beyond = stack.enter_context(new_namespace())
        daemon = stack.enter_context(network_daemon("", prefix))
        join(daemon.namespace, "uplink", beyond, "eth0")
        set_address(daemon.namespace, "uplink", f"{HOST4}/24", f"{HOST6}/64")
        set_address(beyond, "eth0", f"{OUTSIDE4}/24", f"{OTHER4}/24", f"{OUTSIDE6}/64")
        names = stack.enter_context(serve_upstream(beyond, OUTSIDE4))
        for port in (OPEN, CLOSED):  # over IPv4 too
            stack.enter_context(serving(beyond, _tell_address, port=port, family=socket.AF_INET6))
        _configure(daemon, instances)
        yield Outside(daemon, beyond, names)


def _configure(daemon: NetworkDaemon, instances: str) -> None:
    daemon.config.write_text(f"[tenants.acme]\nnetwork = {{}}\n{instances}")
    done = daemon.run("reload")
    assert done.returncode == 0, done.stderr
    daemon.wait_state("acme/one", "running")


def _one(egress: str, command: str = "command = ['busybox', 'sleep', '1000000']") -> str:
    table = "[tenants.acme.instances.one]\nstop_timeout = '0s'\n"
    return f"{table}{command}\ntraffic = {{ egress = [{egress}] }}\n"


def test_rules_open_addresses_and_ports_and_the_host_lends_its_own_address() -> None:
    rules = f"{{ to = '{OUTSIDE4}', ports = [{OPEN}], protocol = 'tcp' }}, {{ to = '{OUTSIDE6}' }}"
    with outside(_one(rules)) as world:
        assert world.seen(OUTSIDE4) == HOST4
        assert world.seen(OUTSIDE6) == HOST6
        assert world.seen(OUTSIDE4, CLOSED) == ""
        assert world.seen(OTHER4) == ""


def test_a_rule_about_a_name_opens_what_the_name_leads_to_once_it_was_asked_for() -> None:
    with outside(_one(f"{{ to = '*.example.test', ports = [{OPEN}] }}")) as world:
        for name in ("www.example.test", "www.elsewhere.test"):
            world.names.records[name] = [f"@ 60 A {OTHER4}"]
        assert world.seen(OTHER4) == ""
        assert world.seen("www.elsewhere.test") == ""

        assert world.seen("www.example.test") == HOST4
        assert world.seen("www.example.test", CLOSED) == ""
        assert world.seen(OTHER4) == HOST4


def test_connections_to_the_outside_survive_a_reload_that_changes_the_rules() -> None:
    command = f"command = {json.dumps(['python3', '-S', '-E', '-c', CLIENT, OTHER4, str(CALLED)])}"
    before, after = (_one(f"{{ to = '{address}' }}", command) for address in (OTHER4, OUTSIDE4))
    with outside(before) as world:
        with listening(world.namespace, OTHER4, socket.SOCK_STREAM, CALLED) as server:
            server.settimeout(SECONDS)
            connection, (source, _) = server.accept()
        with connection:
            connection.settimeout(SECONDS)
            assert source == HOST4

            _configure(world.daemon, after)

            assert world.seen(OUTSIDE4) == HOST4
            assert world.seen(OTHER4) == ""
            connection.sendall(b"still")
            assert connection.recv(100) == b"still"


def test_what_is_open_to_one_instance_is_not_to_another() -> None:
    other = "[tenants.acme.instances.two]\ncommand = ['busybox', 'sleep', '1000000']\nstop_timeout = '0s'\n"
    with outside(_one(f"{{ to = '{OUTSIDE4}' }}") + other) as world:
        world.daemon.wait_state("acme/two", "running")

        done = world.daemon.run("exec", "acme/two", "--", "python3", "-c", CALLER, OUTSIDE4, str(OPEN))

        assert world.seen(OUTSIDE4) == HOST4
        assert (done.returncode, done.stdout) == (0, "")
