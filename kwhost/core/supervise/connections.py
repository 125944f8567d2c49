"""The connections of an instance, as the host's kernel lists them. Blocking."""

import os
from collections.abc import Iterator
from heapq import nsmallest
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from kwhost.core.errors import Conflict, HostError
from kwhost.core.model.connections import Connection, Connections, ConnectionState
from kwhost.core.model.network import Transport
from kwhost.core.supervise.processes import is_kept, namespace_pids

__all__ = ["list_connections"]

_PROC = Path("/proc")
_TOLD_MAX = 1000
_TABLES = (
    ("tcp", Transport.TCP), ("tcp6", Transport.TCP), ("udp", Transport.UDP), ("udp6", Transport.UDP),
)  # fmt: skip

_S = ConnectionState
# The kernel's TCP_ESTABLISHED (1) to TCP_CLOSING (11), and TCP_NEW_SYN_RECV.
_TCP_STATES = (
    _S.CLOSED, _S.ESTABLISHED, _S.SYN_SENT, _S.SYN_RECEIVED, _S.FIN_WAIT_1, _S.FIN_WAIT_2, _S.TIME_WAIT,
    _S.CLOSED, _S.CLOSE_WAIT, _S.LAST_ACK, _S.LISTEN, _S.CLOSING, _S.SYN_RECEIVED,
)  # fmt: skip
_ORDER = {state: place for place, state in enumerate(ConnectionState)}


def list_connections(first: int) -> Connections:
    """Those of the instance of process `first`. In the host's network they are told from others' by who has
    them open. Raises Conflict where the instance has ended, HostError where the host does not tell."""
    if is_kept(first):  # without namespaces there are no sockets
        return Connections(connections=(), left_out=0)
    try:
        own = _inode(first) == _inode(os.getpid())
        wanted = _open_sockets(first) if own else None
        found = [
            connection
            for table, transport in _TABLES
            for socket, connection in _read(first, table, transport)
            if wanted is None or socket in wanted
        ]
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Conflict("the instance has ended") from error
    except OSError as error:
        raise HostError(f"cannot tell which connections are the instance's: {error.strerror}") from error
    told = nsmallest(_TOLD_MAX, found, key=lambda each: (_ORDER[each.state], each.local, each.remote))
    return Connections(connections=tuple(told), left_out=len(found) - len(told))


def _inode(pid: int) -> int:
    """Of the network namespace."""
    return (_PROC / str(pid) / "ns/net").stat().st_ino


def _open_sockets(first: int) -> set[int]:
    """What the instance's processes have open; one that ends meanwhile has nothing."""
    found = set()
    for pid in namespace_pids(first):
        directory = _PROC / str(pid) / "fd"
        try:
            for name in os.listdir(directory):
                target = os.readlink(directory / name)
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _read(pid: int, table: str, transport: Transport) -> Iterator[tuple[int, Connection]]:
    """Each with its socket's inode. A host without IPv6 has no table of it."""
    path = _PROC / str(pid) / "net" / table
    if not path.exists() and table.endswith("6") and _PROC.joinpath(str(pid)).exists():
        return
    with path.open() as file:
        next(file)
        for line in file:
            yield _parse(line, transport)


def _parse(line: str, transport: Transport) -> tuple[int, Connection]:
    _, local, remote, state, queues, _, _, _, _, inode, *_ = line.split()
    unsent, unread = (int(number, 16) for number in queues.split(":"))
    found = _TCP_STATES[int(state, 16)]
    if transport is Transport.UDP and found is ConnectionState.CLOSED:
        found = ConnectionState.OPEN
    if found is ConnectionState.LISTEN:
        unread, unsent = 0, 0  # connections that wait, and how many may
    return int(inode), Connection(
        transport=transport,
        state=found,
        local=_address(local),
        remote="" if remote.endswith(":0000") else _address(remote),
        unread=unread,
        unsent=unsent,
    )


def _address(text: str) -> str:
    """`0100007F:0050` is 127.0.0.1:80: words of four bytes, each in the host's order."""
    words, _, port = text.partition(":")
    packed = b"".join(
        int(words[start : start + 8], 16).to_bytes(4, "little") for start in range(0, len(words), 8)
    )
    if len(packed) == 4:
        return f"{IPv4Address(packed)}:{int(port, 16)}"
    address = IPv6Address(packed)
    return f"{address.ipv4_mapped or f'[{address}]'}:{int(port, 16)}"
