"""kwhost's fixtures for the tests of plugins, and what happens where the kernel has no WireGuard."""

import os
from functools import cache

import pytest
from kwhost.core.errors import HostError
from kwhost.net.names import link_group, owner_of
from kwhost.net.namespaces import run_inside

from kwhost_net_wireguard.devices import AddDevice, Device
from kwhost_net_wireguard.kernel import apply_steps
from kwhost_net_wireguard.keys import NO_KEY
from namespaces import new_namespace

pytest_plugins = ["kwhost.testing"]


@cache
def _missing() -> str | None:
    if os.geteuid() != 0:
        return "needs to be root"
    group = link_group(owner_of("/tests"))
    device = Device(name="kwwtest", label="test", group=group, mtu=1420, private_key=NO_KEY, listen_port=1)
    try:
        with new_namespace() as place:
            run_inside(place, lambda: apply_steps([AddDevice(device)]))
    except HostError as error:
        return str(error)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("wireguard") and (reason := _missing()):
        if "wireguard" in os.environ.get("KWHOST_MUST", "").replace(",", " ").split():
            pytest.fail(f"KWHOST_MUST names wireguard, but: {reason}", pytrace=False)
        pytest.skip(reason)
