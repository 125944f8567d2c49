"""The way to the resolver: a process of its own that is found or started, and told what to answer.

It lives on when the daemon dies, and answers as it was told last. It cannot bind ports: the daemon binds the
sockets at the gateways' addresses, also before these are there, and hands them over.
"""

import os
import socket
from pathlib import Path
from typing import Final

import trio

from kwhost.core.model.ids import UID_LIMIT, TenantName
from kwhost.core.model.network import Transport
from kwhost.net.addresses import Subnet, gateway
from kwhost.net.wishes import HostService, Namespace
from kwhost.net.zones import DOMAIN, Resident, Upstream, Zone, Zones

__all__ = [
    "RESOLVER_SERVICES",
    "RESOLVER_UID",
    "Resident",
    "Resolver",
    "Upstream",
    "Zone",
    "Zones",
    "resolver_configuration",
]

PORT: Final = 53
# What a Network's `services` must have for its instances to reach the resolver.
RESOLVER_SERVICES = (HostService(Transport.UDP, PORT), HostService(Transport.TCP, PORT))
# Beyond those of all instances: the resolver's alone.
RESOLVER_UID = UID_LIMIT + PORT


def resolver_configuration(tenant: TenantName, subnet: Subnet) -> str:
    """The text of an instance's /etc/resolv.conf."""
    servers = "".join(f"nameserver {gateway(net)}\n" for net in subnet)
    return f"{servers}search {tenant}.{DOMAIN}\noptions edns0\n"


class Resolver:
    """The resolver of one run_dir. `namespace` is the network namespace of the bridges; None: this process's.

    Usage: `publish` whenever something changed, before what it is about is attached and after it was
    detached; `keep` runs beside, in a task of its own.
    """

    def __init__(self, run_dir: Path, *, namespace: Namespace | None = None, uid: int = RESOLVER_UID) -> None:
        self._run_dir = run_dir
        self._namespace = namespace
        self._uid = uid

    async def publish(self, zones: Zones) -> None:
        """Return when all questions are answered by `zones`; finds or starts the process. Raises NetworkError.

        Cheap where nothing changed. Permissions by host name that `zones` does not have any more are gone.
        """

    async def keep(self) -> None:
        """Never returns: starts the resolver again, with the zones of before, whenever it ends."""

    async def stop(self) -> None:
        """End the process, if there is one."""

    def close(self) -> None:
        """Leave the process alone: it goes on answering."""
