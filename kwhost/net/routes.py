"""Routes through uplinks. Their metric is the owner's link group: by that they are recognised again."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from kwhost.net.names import LinkName, Owner, link_group
from kwhost.net.netlink import Session
from kwhost.net.state import Route

__all__ = ["add_route", "read_routes", "remove_route"]

_MAIN_TABLE = 254
# A number of our own (rtnetlink(7): those above RTPROT_STATIC are for whoever makes routes).
_PROTOCOL = 107
_FAMILIES = {4: 2, 6: 10}


def _options(owner: Owner, route: Route, index: int) -> dict[str, Any]:
    return {
        "family": _FAMILIES[ip_network(route.prefix).version],
        "dst": route.prefix,
        "oif": index,
        "table": _MAIN_TABLE,
        "proto": _PROTOCOL,
        "priority": link_group(owner),
    }


def add_route(session: Session, owner: Owner, route: Route, index: int) -> None:
    """Through the link with `index`, instead of the owner's other one to that prefix."""
    session.route("replace", **_options(owner, route, index), metrics={"mtu": route.mtu})


def remove_route(session: Session, owner: Owner, route: Route, index: int) -> None:
    """The owner's route to that prefix through the link."""
    session.route("del", **_options(owner, route, index))


def read_routes(session: Session, owner: Owner, names: Mapping[int, str]) -> Iterator[Route]:
    """All of an owner's; `names` are the links by index."""
    for version, family in _FAMILIES.items():
        for message in session.get_routes(family=family, table=_MAIN_TABLE, proto=_PROTOCOL):
            if message.get_attr("RTA_PRIORITY") == link_group(owner):
                address = message.get_attr("RTA_DST") or ("0.0.0.0" if version == 4 else "::")  # noqa: S104
                link = LinkName(names.get(message.get_attr("RTA_OIF"), ""))
                mtu = message.get_nested("RTA_METRICS", "RTAX_MTU") or 0
                yield Route(link, f"{address}/{message['dst_len']}", mtu)
