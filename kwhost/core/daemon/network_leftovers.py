"""What is left of networks when no daemon runs and no instance does."""

from contextlib import suppress

import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.errors import KwhostError
from kwhost.net.forwarder import Forwarder
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.resolving import Resolver
from kwhost.net.wishes import Wishes

__all__ = ["remove_leftovers"]


async def remove_leftovers(host: HostConfig) -> None:
    """Remove links and tables of this state directory, and end what serves its run directory."""
    owner = owner_of(str(host.state_dir))
    if host.run_dir.is_dir():
        with suppress(KwhostError):  # it does not answer: it ends with its socket
            await Forwarder.end(host.run_dir)
        with suppress(KwhostError):
            await Resolver(host.run_dir).stop()
    with suppress(KwhostError):  # a host without nftables has nothing of it
        await trio.to_thread.run_sync(HostNetwork(owner).reconcile, Wishes(owner=owner))
