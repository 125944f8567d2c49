"""Networks that are driven from outside: an ordinary user's instances make their network namespaces
themselves, and wait until a process of the user's connects those.

What starts that process is loaded by its name: the core knows no network tools. Imported before the event
loop is; what goes on afterwards is driving.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kwhost.core.errors import NetworkError
from kwhost.core.model.mounts import Mount, MountKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kwhost.core.model.network import EgressRule, PublishedPort

__all__ = ["Driven", "NetworkDriver", "load_driver", "prepare_driven"]

_MODULE = "kwhost.net.pasta"


class NetworkDriver(Protocol):
    """Connects one instance; `begin`, `finish` and `end` may take a while."""

    def missing(self) -> str:
        """Why there can be no network here, and what to do; "" where there can."""

    def check_ports(self) -> None:
        """Raise Conflict where a port to publish is taken."""

    def resolv_conf(self) -> str:
        """What /etc/resolv.conf in the instance is to be."""

    def begin(self, user: int, net: int) -> tuple[int, int]:
        """Begin to connect the namespaces behind two descriptors, which stay the caller's.

        Returns descriptors that are the caller's too: a pidfd of the process that does it, and its lifeline.
        The process ends when nobody has the lifeline any more, whoever was killed. Raises NetworkError.
        """

    def finish(self) -> None:
        """Return once the instance is connected. Raises NetworkError."""

    def end(self) -> None:
        """End what this object started, if it is still there."""


class Driven(NamedTuple):
    """What is to drive an instance's network, if anything, and the files in the instance that tell of it;
    `lacking`: why nothing does although it was asked for, or ""."""

    driver: NetworkDriver | None = None
    files: tuple[Mount, ...] = ()
    lacking: str = ""


def load_driver(
    ports: "Sequence[PublishedPort]", egress: "Sequence[EgressRule] | None" = None
) -> NetworkDriver:
    """What drives the network of an instance that publishes ports and may make some calls, to all public
    addresses where nothing says which."""
    driver: NetworkDriver = import_module(_MODULE).Pasta(ports, egress)
    return driver


def prepare_driven(ports: "Sequence[PublishedPort]", egress: "Sequence[EgressRule] | None" = None) -> Driven:
    """For the start of an ordinary user's instance. Raises Conflict for a port that is taken, NetworkError
    where ports cannot be published."""
    driver = load_driver(ports, egress)
    if missing := driver.missing():
        if ports:
            raise NetworkError(f"cannot publish ports: {missing}")
        return Driven(lacking=f"it has no network but its own loopback: {missing}")
    driver.check_ports()
    file = Mount(MountKind.FILE, "/etc/resolv.conf", driver.resolv_conf(), mode=0o644)
    return Driven(driver, (file,))
