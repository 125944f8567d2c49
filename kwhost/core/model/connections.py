"""The connections of an instance."""

from dataclasses import dataclass
from enum import Enum

from kwhost.core.model.network import Transport

__all__ = ["Connection", "ConnectionState", "Connections"]


class ConnectionState(Enum):
    """Of TCP as the kernel has it; a socket of UDP is OPEN, or ESTABLISHED with one peer."""

    ESTABLISHED = "established"
    SYN_SENT = "syn-sent"
    SYN_RECEIVED = "syn-received"
    LISTEN = "listen"
    OPEN = "open"
    FIN_WAIT_1 = "fin-wait-1"
    FIN_WAIT_2 = "fin-wait-2"
    CLOSE_WAIT = "close-wait"
    CLOSING = "closing"
    LAST_ACK = "last-ack"
    CLOSED = "closed"
    TIME_WAIT = "time-wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One, or a socket that waits for such. `local` and `remote` are address and port, `remote` "" where
    there is none; so many bytes wait to be `unread` by the program, or to be acknowledged by the peer
    (`unsent`)."""

    transport: Transport
    state: ConnectionState
    local: str
    remote: str
    unread: int
    unsent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """In the order of ConnectionState; `left_out` were too many to be told."""

    connections: tuple[Connection, ...]
    left_out: int = 0
