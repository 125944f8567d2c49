"""A daemon in a network namespace of its own: nothing here touches the machine's own network."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from kwhost.net.names import owner_of
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.wishes import Namespace
from tests.functional.hosting import Daemon
from tests.net.namespaces import new_namespace, write_setting
from tests.patience import SECONDS

__all__ = ["NetworkDaemon", "missing", "network_daemon"]


class NetworkDaemon(Daemon):
    """Its commands run in `namespace` too, by way of the command `prefix`."""

    def __init__(self, namespace: Namespace, configuration: str, prefix: Sequence[str] = ()) -> None:
        super().__init__(configuration)
        self.namespace = namespace
        self._prefix = prefix

    def command(self, *arguments: str) -> list[str]:
        path = self.namespace.replace("/self/", f"/{os.getpid()}/")
        return ["nsenter", f"--net={path}", *self._prefix, *super().command(*arguments)]

    def inside(self, work: Any) -> Any:
        """Do something in the namespace of its bridges."""
        return run_inside(self.namespace, work)

    def connect(self, address: str, port: int) -> socket.socket:
        """A TCP connection from the host, as a program there makes it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made: socket.socket = self.inside(lambda: socket.socket(family, socket.SOCK_STREAM))
        made.settimeout(SECONDS)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    def links(self) -> set[str]:
        """The links of kwhost that there are."""

        def read() -> set[str]:
            with open_session() as session:
                names = {str(message.get_attr("IFLA_IFNAME")) for message in session.get_links()}
            return {name for name in names if name.startswith("kw")}

        found: set[str] = self.inside(read)
        return found

    def tables(self) -> bool:
        """Whether there are tables of kwhost."""
        owner = owner_of(str(self.state_dir))
        return bool(self.inside(lambda: Nft().list_table("inet", f"kwhost-{owner}")))


@cache
def missing() -> str | None:
    """What this host lacks for networks."""
    from tests.net.conftest import _missing

    return _missing()


@contextmanager
def network_daemon(configuration: str, prefix: Sequence[str] = ()) -> Iterator[NetworkDaemon]:
    """Started, and gone with all that is its own afterwards."""
    if reason := missing():
        pytest.skip(reason)
    with new_namespace() as namespace:

        def up() -> None:
            with open_session() as session:
                session.link("set", index=1, state="up")

        run_inside(namespace, up)
        write_setting(namespace, "ipv4/ip_forward", "1")
        write_setting(namespace, "ipv6/conf/all/forwarding", "1")
        daemon = NetworkDaemon(namespace, configuration, prefix)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.close()
