"""Rates, by tc: a token bucket at what a link sends, and mirrors (ifb) for what it receives."""

import errno
from collections.abc import Mapping

from kwhost.net.names import LinkName
from kwhost.net.netlink import Session, ignoring

__all__ = ["limit_rate", "read_rates", "read_redirects", "redirect", "unlimit", "unredirect"]

_ROOT, _ROOT_PARENT = 0x0001_0000, 0xFFFF_FFFF
_INGRESS, _INGRESS_PARENT = 0xFFFF_0000, 0xFFFF_FFF1
_ALL_PROTOCOLS = 3  # ETH_P_ALL
# A hundredth of a second may come at once, but never less than a few of the largest frames.
_BURST_SECONDS, _BURST_MIN = 0.01, 16_384
_QUEUE_SECONDS, _QUEUE_MIN = 0.05, 32_768


def limit_rate(session: Session, index: int, rate: int) -> None:
    """Limit what a link sends to `rate` bits a second."""
    octets = rate // 8
    burst = max(_BURST_MIN, int(octets * _BURST_SECONDS))
    limit = burst + max(_QUEUE_MIN, int(octets * _QUEUE_SECONDS))
    options = {"handle": _ROOT, "rate": octets, "burst": burst, "limit": limit}
    with ignoring(errno.EINVAL, errno.EEXIST):  # there is a queue of another kind
        session.tc("replace", "tbf", index, **options)
        return
    unlimit(session, index)
    session.tc("add", "tbf", index, **options)


def unlimit(session: Session, index: int) -> None:
    """Leave a link with the kernel's own queue."""
    with ignoring(errno.ENOENT, errno.EINVAL):
        session.tc("del", index=index, handle=_ROOT, parent=_ROOT_PARENT)


def redirect(session: Session, index: int, mirror: int) -> None:
    """Lead what a link receives through a mirror, which hands it on as if the link had received it then."""
    unredirect(session, index)
    session.tc("add", "ingress", index, handle=_INGRESS)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": mirror}
    session.tc(
        "add-filter",
        "u32",
        index,
        parent=_INGRESS,
        protocol=_ALL_PROTOCOLS,
        prio=1,
        keys=["0x0/0x0+0"],
        action=action,
        target=_ROOT,
    )


def unredirect(session: Session, index: int) -> None:
    """Let a link receive directly."""
    with ignoring(errno.ENOENT, errno.EINVAL):
        session.tc("del", index=index, handle=_INGRESS, parent=_INGRESS_PARENT)


def read_rates(session: Session, names: Mapping[int, LinkName]) -> dict[LinkName, int]:
    """The rates of links by index, in bits a second."""
    rates = {}
    for message in session.get_qdiscs():
        if message["index"] in names and message["handle"] == _ROOT and message.get_attr("TCA_KIND") == "tbf":
            options = message.get_nested("TCA_OPTIONS", "TCA_TBF_PARMS")
            rates[names[message["index"]]] = options["rate"] * 8
    return rates


def read_redirects(session: Session, names: Mapping[int, LinkName]) -> dict[LinkName, LinkName]:
    """Where what links receive is led through."""
    redirects = {}
    for message in session.get_qdiscs():
        index = message["index"]
        if index in names and message["handle"] == _INGRESS:
            redirects[names[index]] = names.get(_mirror(session, index), LinkName(""))
    return redirects


def _mirror(session: Session, index: int) -> int:
    """The index of the link that the first filter leads to; 0: there is none."""
    for message in session.get_filters(index=index, parent=_INGRESS):
        options = message.get_nested(
            "TCA_OPTIONS", "TCA_U32_ACT", "TCA_ACT_PRIO_1", "TCA_ACT_OPTIONS", "TCA_MIRRED_PARMS"
        )
        if options:
            return int(options["ifindex"])
    return 0
