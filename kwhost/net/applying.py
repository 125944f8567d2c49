"""Does the steps of a plan, in the calling thread's network namespace."""

import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kwhost.core.errors import NetworkError
from kwhost.net import traffic
from kwhost.net.inside import furnish
from kwhost.net.names import LinkKind, LinkName, Owner, doomed_group, link_group
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import NetlinkError, Session, failure, ignoring, open_session
from kwhost.net.nft import Nft
from kwhost.net.reading import SETTINGS
from kwhost.net.routes import add_route, remove_route
from kwhost.net.state import Address
from kwhost.net.steps import (
    AddAddress,
    AddForwarding,
    AddLink,
    AddNeighbour,
    AddRoute,
    ChangeLink,
    ChangeTables,
    Furnish,
    LimitRate,
    Lower,
    Raise,
    Redirect,
    RemoveAddress,
    RemoveForwarding,
    RemoveLinks,
    RemoveNeighbour,
    RemoveRoute,
    Retire,
    Set,
    Step,
    Unlimit,
    Unredirect,
    link_of,
    needs_of,
)
from kwhost.net.tap import make_tap

__all__ = ["apply_steps"]

_NO_DAD = 0x02  # IFA_F_NODAD: nobody else can have the address
_STATIC = "noarp"  # in a bridge's table: learned never, kept for ever
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


def apply_steps(nft: Nft, owner: Owner, steps: Iterable[Step]) -> dict[LinkName, NetworkError]:
    """Do the steps in order; the answer says which links could not be set up, and why.

    After a step about a link has failed, no other about it is tried. A failure that concerns all (the tables,
    removing links) is raised.
    """
    failures: dict[LinkName, NetworkError] = {}
    with open_session() as session:
        for step in steps:
            link = link_of(step)
            if link in failures:
                continue
            try:
                if isinstance(step, ChangeTables):
                    _change_tables(nft, step)
                else:
                    _ACTIONS[type(step)](session, owner, step)
            except (NetlinkError, OSError, NetworkError) as error:
                problem = failure(str(step), error, needs_of(step))
                if link is None:
                    raise problem from error
                failures[link] = problem
    return failures


def _index(name: LinkName) -> int:
    """In the thread's namespace. Not by netlink, which answers with all that there is of a link."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise NetlinkError(errno.ENODEV, os.strerror(errno.ENODEV)) from error


def _remove_links(session: Session, owner: Owner, step: RemoveLinks) -> None:
    for name in step.links:
        with ignoring(*_GONE):
            session.link("set", index=_index(name), group=doomed_group(owner))
    _remove_doomed(session, owner)


def _remove_doomed(session: Session, owner: Owner) -> None:
    with ignoring(*_GONE):
        session.link("del", index=0, IFLA_GROUP=doomed_group(owner))


def _retire(session: Session, owner: Owner, step: Retire) -> None:
    for name in step.links:
        with ignoring(*_GONE):
            session.link("set", index=_index(name), group=doomed_group(owner), master=0, state="down")


def _add_link(session: Session, owner: Owner, step: AddLink) -> None:
    link, group = step.link, link_group(owner)
    if link.tap:
        make_tap(link.name, link.tap, lambda: _mark(session, link.name, group))
        return
    options: dict[str, Any] = {"ifname": link.name, "group": group, "mtu": link.mtu}
    if link.mac:
        options["address"] = link.mac
    if link.kind is LinkKind.BRIDGE:
        options |= {"br_mcast_snooping": 0, "br_forward_delay": 0, "br_stp_state": 0}
    if step.place:
        options["peer"] = {"ifname": step.place.interface, "net_ns_fd": step.place.namespace}
    kinds = {LinkKind.BRIDGE: "bridge", LinkKind.VETH: "veth", LinkKind.MIRROR: "ifb"}
    with ignoring(errno.EEXIST):
        session.link("add", kind=kinds[link.kind], **options)
        return
    if not _is_marked(session, link.name, group):
        _remove_doomed(session, owner)  # perhaps it has the name, or its other end that of ours
        session.link("add", kind=kinds[link.kind], **options)


def _mark(session: Session, name: LinkName, group: int) -> None:
    session.link("set", index=_index(name), group=group)


def _is_marked(session: Session, name: LinkName, group: int) -> bool:
    """Whether it was made already; otherwise the name is taken, or that of its other end."""
    with ignoring(errno.ENODEV):
        message = next(iter(session.link("get", ifname=name)))
        return bool(message.get_attr("IFLA_GROUP") == group)
    return False


def _change_link(session: Session, owner: Owner, step: ChangeLink) -> None:
    link, index = step.link, _index(step.link.name)
    options: dict[str, Any] = {"mtu": link.mtu, "ifalias": link.label, "group": link_group(owner)}
    if link.mac and link.mac != _mac(session, index):  # even the same one forgets all neighbours
        options["address"] = link.mac
    if link.master:
        options["master"] = _index(link.master)
    session.link("set", index=index, **options)
    if link.guarded:
        session.brport("set", index=index, learning=0, unicast_flood=0, guard=1, protect=1)
    session.link("set", index=index, state="up" if link.up else "down")


def _mac(session: Session, index: int) -> str:
    return str(next(iter(session.link("get", index=index))).get_attr("IFLA_ADDRESS"))


def _address_options(address: Address) -> dict[str, Any]:
    host, length = address.address.split("/")
    options: dict[str, Any] = {"address": host, "prefixlen": int(length)}
    return options | {"flags": _NO_DAD} if ":" in host else options


def _add_address(session: Session, _owner: Owner, step: AddAddress) -> None:
    with ignoring(errno.EEXIST):
        session.addr("add", index=_index(step.address.link), **_address_options(step.address))


def _remove_address(session: Session, _owner: Owner, step: RemoveAddress) -> None:
    with ignoring(*_GONE):
        session.addr("del", index=_index(step.address.link), **_address_options(step.address))


def _add_neighbour(session: Session, _owner: Owner, step: AddNeighbour) -> None:
    one = step.neighbour
    session.neigh("replace", ifindex=_index(one.link), dst=one.address, lladdr=one.mac, state="permanent")


def _remove_neighbour(session: Session, _owner: Owner, step: RemoveNeighbour) -> None:
    with ignoring(*_GONE):
        session.neigh("del", ifindex=_index(step.neighbour.link), dst=step.neighbour.address)


def _add_forwarding(session: Session, _owner: Owner, step: AddForwarding) -> None:
    one = step.forwarding
    session.fdb("replace", ifindex=_index(one.link), lladdr=one.mac, state=_STATIC, master=0)


def _remove_forwarding(session: Session, _owner: Owner, step: RemoveForwarding) -> None:
    one = step.forwarding
    with ignoring(*_GONE):
        session.fdb("del", ifindex=_index(one.link), lladdr=one.mac)


def _raise(session: Session, _owner: Owner, step: Raise) -> None:
    session.link("set", index=_index(step.link), state="up")


def _lower(session: Session, _owner: Owner, step: Lower) -> None:
    with ignoring(*_GONE):
        session.link("set", index=_index(step.link), state="down")


def _add_route(session: Session, owner: Owner, step: AddRoute) -> None:
    index = _index(step.route.link)
    add_route(session, owner, step.route, index)


def _remove_route(session: Session, owner: Owner, step: RemoveRoute) -> None:
    with ignoring(*_GONE):
        remove_route(session, owner, step.route, _index(step.route.link))


def _set(_session: Session, _owner: Owner, step: Set) -> None:
    (SETTINGS / step.setting.path).write_text(step.setting.value)


def _limit_rate(session: Session, _owner: Owner, step: LimitRate) -> None:
    traffic.limit_rate(session, _index(step.link), step.rate)


def _unlimit(session: Session, _owner: Owner, step: Unlimit) -> None:
    with ignoring(*_GONE):
        traffic.unlimit(session, _index(step.link))


def _redirect(session: Session, _owner: Owner, step: Redirect) -> None:
    traffic.redirect(session, _index(step.link), _index(step.mirror))


def _unredirect(session: Session, _owner: Owner, step: Unredirect) -> None:
    with ignoring(*_GONE):
        traffic.unredirect(session, _index(step.link))


def _furnish(_session: Session, _owner: Owner, step: Furnish) -> None:
    run_inside(step.place.namespace, lambda: furnish(step.place.interface, step.inside))


def _change_tables(nft: Nft, step: ChangeTables) -> None:
    try:
        nft.run(step.change)
    except NetworkError:
        nft.run(step.anew)


_ACTIONS: Mapping[type, Callable[[Session, Owner, Any], None]] = {
    RemoveLinks: _remove_links,
    Retire: _retire,
    AddLink: _add_link,
    ChangeLink: _change_link,
    AddAddress: _add_address,
    RemoveAddress: _remove_address,
    AddNeighbour: _add_neighbour,
    RemoveNeighbour: _remove_neighbour,
    Raise: _raise,
    Lower: _lower,
    AddRoute: _add_route,
    RemoveRoute: _remove_route,
    AddForwarding: _add_forwarding,
    RemoveForwarding: _remove_forwarding,
    Set: _set,
    LimitRate: _limit_rate,
    Unlimit: _unlimit,
    Redirect: _redirect,
    Unredirect: _unredirect,
    Furnish: _furnish,
}
