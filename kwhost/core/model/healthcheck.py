"""How an instance is asked whether it works."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Healthcheck", "ProbeKind"]


class ProbeKind(Enum):
    """How a health check looks."""

    COMMAND = "command"
    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """A probe and how often; times in seconds.

    `target` is a command line for COMMAND (an argument list), `http://:PORT/PATH` for HTTP (any status
    from 200 to 399 is healthy) and `:PORT` for TCP; both reach the instance's own loopback.
    """

    kind: ProbeKind
    target: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 0.0
