"""Instances with networks that come and go, many at the same time: nothing of them is left."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.api.client import instance_path
from kwhost.net.netlink import open_session
from tests.functional.hosting import eventually
from tests.functional.network_hosting import NetworkDaemon, network_daemon
from tests.net.namespaces import filter_bridged

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net, pytest.mark.slow]

TENANTS, INSTANCES, CYCLES = 4, 5, 10
# Each tenant with something of its own, so that every kind of link, rule and process comes and goes.
NETWORKS = (
    "network = {}",
    "network = { upload = '50M', download = '50M' }",
    "network = { connections = 100, egress = [{ to = '0.0.0.0/0', ports = [443] }] }",
    "network = { isolated = true, upload_packets = 1000 }",
)
COMMAND = "command = ['busybox', 'sleep', '1000000']\nstop_timeout = '0s'"


def _instance(tenant: int, number: int) -> str:
    port = 9000 + 10 * tenant + number
    more = (
        "traffic = { upload = '10M', download = '10M' }",
        f"ports = ['{port}:80', '*:{port}:80/udp']",
        "traffic = { egress = [{ to = '8.8.8.8' }], connections = 10 }",
        "",
        f"ports = ['127.0.0.1:{port}:80/udp']",
    )
    return f"[tenants.t{tenant}.instances.i{number}]\n{COMMAND}\n{more[number]}\n"


CONFIGURATION = "".join(
    f"[tenants.t{tenant}]\n{NETWORKS[tenant]}\n"
    + "".join(_instance(tenant, number) for number in range(INSTANCES))
    for tenant in range(TENANTS)
)


def _seen(daemon: NetworkDaemon) -> dict[str, Any]:
    """What there is in the daemon's network namespace, and who holds others."""

    def look() -> dict[str, Any]:
        with open_session() as session:
            return {
                "links": sorted(str(one.get_attr("IFLA_IFNAME")) for one in session.get_links()),
                "addresses": sorted(str(one.get_attr("IFA_ADDRESS")) for one in session.get_addr()),
                "routes": len(session.get_routes()),
                "neighbours": len(session.get_neighbours()),
                "queues": len(session.get_qdiscs()),
            }

    assert daemon.process
    descriptors = Path(f"/proc/{daemon.process.pid}/fd")
    held = [link for fd in descriptors.iterdir() if (link := _target(fd)).startswith("net:")]
    seen: dict[str, Any] = daemon.inside(look)
    return seen | {"namespaces": len(held), "tables": daemon.tables()}


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""  # it was closed meanwhile


def test_two_hundred_cycles_at_the_same_time_leave_nothing() -> None:
    with network_daemon("") as daemon:
        filter_bridged(daemon.namespace, on=False)  # a tenant has an upload rate
        before = _seen(daemon)
        assert not before["tables"]
        daemon.config.write_text(CONFIGURATION)
        assert daemon.run("reload").returncode == 0

        def cycle(name: str) -> None:
            daemon.wait_state(name, "running")
            for operation in ("stop", "start") * CYCLES:
                daemon.client.request("POST", instance_path(name, operation))
            daemon.client.request("POST", instance_path(name, "stop"))

        names = [f"t{tenant}/i{number}" for tenant in range(TENANTS) for number in range(INSTANCES)]
        with ThreadPoolExecutor(len(names)) as threads:
            for _ in threads.map(cycle, names):
                pass

        eventually(lambda: _seen(daemon) == before, "everything of them goes")
        assert not daemon.run("ps").stdout.splitlines()[1:]
