"""Reads WireGuard devices and does steps, in the calling thread's network namespace. Blocking."""

import errno
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from kwhost.core.errors import HostError
from kwhost.net.netlink import NetlinkError, Session, failure, ignoring, open_session
from pyroute2 import WireGuard  # type: ignore[import-untyped]

from kwhost_net_wireguard.configuration import Endpoint
from kwhost_net_wireguard.devices import (
    AddDevice,
    ChangeKeys,
    ChangeLink,
    Device,
    Host,
    RemoveDevice,
    RemovePeer,
    SetPeer,
    Step,
    Traffic,
    is_device_name,
)
from kwhost_net_wireguard.keys import NO_KEY, Key

__all__ = ["apply_steps", "read_devices", "read_traffic"]

_KIND = "wireguard"
_NEEDS = "WireGuard (CONFIG_WIREGUARD; modprobe wireguard)"


def read_devices(group: int, names: Iterable[str]) -> dict[str, Device]:
    """The devices of a state directory, by its link group, and those with the given names. Raises HostError,
    also where such a name is another kind of link's."""
    wanted = frozenset(names)
    devices = {}
    for message in _links():
        name = message.get_attr("IFLA_IFNAME")
        ours = is_device_name(name) and message.get_attr("IFLA_GROUP") == group
        if not ours and name not in wanted:
            continue
        if not _is_wireguard(message):
            raise HostError(f"there is a link {name} that is no WireGuard device of kwhost's: remove it")
        if messages := _read(name):  # otherwise somebody was faster, and it is gone
            devices[name] = _device(message, messages)
    return devices


def _links() -> list[Any]:
    with open_session() as session:
        return list(session.get_links())


def _is_wireguard(link: Any) -> bool:
    return bool(link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == _KIND)


def _read(name: str) -> list[Any]:
    """The messages about one device; a long list of peers comes in several; none where it is gone.

    To be called where there was one: without WireGuard in the kernel pyroute2 fails and leaves sockets open.
    """
    try:
        with WireGuard() as session:
            return list(session.info(name))
    except NetlinkError as error:
        if error.code in (errno.ENODEV, errno.ENOENT):
            return []
        raise failure(f"read the WireGuard device {name}", error, _NEEDS) from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _peers(messages: Iterable[Any]) -> Iterable[Any]:
    return (peer for message in messages for peer in message.get_attr("WGDEVICE_A_PEERS") or ())


def _key_of(peer: Any) -> Key:
    return Key(_text(peer.get_attr("WGPEER_A_PUBLIC_KEY")))


def _device(link: Any, messages: list[Any]) -> Device:
    peers: dict[Key, Host] = {}
    for peer in _peers(messages):
        key, host = _key_of(peer), _host(peer)
        if key in peers:  # continued from the message before
            host = Host(
                preshared_key=peers[key].preshared_key,
                endpoint=peers[key].endpoint,
                keepalive=peers[key].keepalive,
                subnets=peers[key].subnets | host.subnets,
            )
        peers[key] = host
    return Device(
        name=link.get_attr("IFLA_IFNAME"),
        label=link.get_attr("IFLA_IFALIAS") or "",
        group=link.get_attr("IFLA_GROUP"),
        mtu=link.get_attr("IFLA_MTU"),
        private_key=Key(_text(messages[0].get_attr("WGDEVICE_A_PRIVATE_KEY") or NO_KEY)),
        listen_port=messages[0].get_attr("WGDEVICE_A_LISTEN_PORT") or 0,
        peers=peers,
    )


def _host(peer: Any) -> Host:
    endpoint = peer.get_attr("WGPEER_A_ENDPOINT")
    return Host(
        preshared_key=Key(_text(peer.get_attr("WGPEER_A_PRESHARED_KEY") or NO_KEY)),
        endpoint=Endpoint(ip_address(endpoint["addr"]), endpoint["port"]) if endpoint else None,
        keepalive=peer.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") or 0,
        subnets=frozenset(one["addr"] for one in peer.get_attr("WGPEER_A_ALLOWEDIPS") or ()),
    )


def read_traffic(name: str) -> Mapping[Key, Traffic]:
    """What passed, by peer; nothing where there is no such device. Raises HostError."""
    traffic: dict[Key, Traffic] = {}
    if not any(link.get_attr("IFLA_IFNAME") == name and _is_wireguard(link) for link in _links()):
        return traffic
    for peer in _peers(_read(name)):
        time = peer.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
        if time is not None:  # not in what continues a message
            received, sent = peer.get_attr("WGPEER_A_RX_BYTES"), peer.get_attr("WGPEER_A_TX_BYTES")
            traffic[_key_of(peer)] = Traffic(received, sent, time["tv_sec"] + time["tv_nsec"] / 1e9)
    return traffic


def apply_steps(plan: Iterable[Step]) -> None:
    """Do the steps in order. Raises HostError, which names the step that failed."""
    for step in plan:
        try:
            _apply(step)
        except (NetlinkError, OSError) as error:
            raise failure(str(step), error, _NEEDS) from error


def _apply(step: Step) -> None:
    match step:
        case RemoveDevice(name):
            with open_session() as session, ignoring(errno.ENODEV):
                session.link("del", index=_index(session, name))
        case AddDevice(device):
            with open_session() as session, ignoring(errno.EEXIST):
                options = {"ifname": device.name, "group": device.group, "mtu": device.mtu}
                session.link("add", kind=_KIND, **options)
        case ChangeLink(device):
            with open_session() as session:
                options = {"group": device.group, "mtu": device.mtu, "ifalias": device.label}
                session.link("set", index=_index(session, device.name), **options)
        case ChangeKeys(device):
            _set(device.name, private_key=device.private_key, listen_port=device.listen_port)
        case RemovePeer(name, key):
            _set(name, peer={"public_key": key, "remove": True})
        case SetPeer(name, key, host):
            _set(name, peer=_peer(key, host))


def _index(session: Session, name: str) -> int:
    return int(next(iter(session.link("get", ifname=name)))["index"])


def _set(name: str, **options: object) -> None:
    with WireGuard() as session:
        session.set(name, **options)


def _peer(key: Key, host: Host) -> dict[str, object]:
    peer: dict[str, object] = {
        "public_key": key,
        "preshared_key": host.preshared_key,
        "persistent_keepalive": host.keepalive,
        "replace_allowed_ips": True,
        "allowed_ips": sorted(host.subnets),
    }
    if host.endpoint:
        peer |= {"endpoint_addr": str(host.endpoint.address), "endpoint_port": host.endpoint.port}
    return peer
