"""An instance's end of a veth pair, seen from within its network namespace."""

import errno
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from kwhost.core.errors import NetworkError
from kwhost.net.names import Mac
from kwhost.net.netlink import Session, ignoring, open_session
from kwhost.net.state import Inside

__all__ = ["furnish", "read_inside"]


_IFF_UP = 1
_LOOPBACK = 1
_NO_DAD = 0x02  # IFA_F_NODAD: nobody else can have the address
_SETTINGS = {"accept_ra": "0", "autoconf": "0", "accept_redirects": "0"}


def read_inside(interface: str, peer: int) -> Inside | None:
    """What the interface has; None where there is none that is the other end of the host's link `peer`."""
    with open_session() as session:
        message = _find(session, interface)
        if message is None or message.get_attr("IFLA_LINK") != peer:
            return None
        index = message["index"]
        return Inside(
            mac=Mac(message.get_attr("IFLA_ADDRESS")),
            mtu=message.get_attr("IFLA_MTU"),
            addresses=frozenset(_addresses(session, index)),
            gateways=frozenset(_gateways(session, index)),
            up=bool(message["flags"] & _IFF_UP),
        )


def furnish(interface: str, wanted: Inside) -> None:
    """Give it what it shall have and nothing else. One that is down is new, and has nothing yet."""
    with open_session() as session:
        message = _find(session, interface)
        if message is None:
            raise NetworkError(f"there is no interface {interface}")
        index = message["index"]
        for name, value in _SETTINGS.items():
            Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}").write_text(value)
        session.link("set", index=_LOOPBACK, state="up")
        if message["flags"] & _IFF_UP:
            _clear(session, index, wanted)
        session.link("set", index=index, address=wanted.mac, mtu=wanted.mtu, state="up")
        for address in sorted(wanted.addresses):
            host, length = address.split("/")
            flags = {"flags": _NO_DAD} if ":" in host else {}
            with ignoring(errno.EEXIST):
                session.addr("add", index=index, address=host, prefixlen=int(length), **flags)
        for gateway in sorted(wanted.gateways):
            session.route("replace", dst=_everything(gateway), gateway=gateway, oif=index)


def _clear(session: Session, index: int, wanted: Inside) -> None:
    """Take what it shall not have."""
    for address in _addresses(session, index) - wanted.addresses:
        host, length = address.split("/")
        session.addr("del", index=index, address=host, prefixlen=int(length))
    for gateway in _gateways(session, index) - wanted.gateways:
        session.route("del", dst=_everything(gateway), gateway=gateway, oif=index)


def _find(session: Session, interface: str) -> Any:
    with ignoring(errno.ENODEV):
        return next(iter(session.link("get", ifname=interface)), None)
    return None


def _addresses(session: Session, index: int) -> set[str]:
    found = set()
    for message in session.get_addr(index=index):
        host = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        interface = ip_interface(f"{host}/{message['prefixlen']}")
        if not interface.is_link_local:
            found.add(str(interface))
    return found


def _everything(gateway: str) -> str:
    return "::/0" if ":" in gateway else "0.0.0.0/0"


def _gateways(session: Session, index: int) -> set[str]:
    found = set()
    for family in (2, 10):
        for message in session.get_routes(family=family, oif=index, table=254):
            gateway = message.get_attr("RTA_GATEWAY")
            if gateway and message["dst_len"] == 0:
                found.add(gateway)
    return found
