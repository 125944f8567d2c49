"""How much one instance may ask, however it asks."""

from dataclasses import dataclass

from kwhost.net.zones import Resident

__all__ = ["CONNECTIONS_MAX", "LOOKUPS_MAX", "TENANT_CONNECTIONS_MAX", "TENANT_LOOKUPS_MAX", "Asker"]

# Questions a second, and as many at once; what is beyond is dropped unread.
_RATE = 500.0
# Questions that wait for others' resolvers, and connections.
LOOKUPS_MAX, TENANT_LOOKUPS_MAX = 16, 64
CONNECTIONS_MAX, TENANT_CONNECTIONS_MAX = 8, 64


@dataclass(slots=True)
class Asker:
    """An instance; `resident` None: whoever else has an address in the tenant's subnet, such as the host."""

    resident: Resident | None = None
    lookups: int = 0
    connections: int = 0
    _credit: float = _RATE
    _since: float = 0.0

    def may_ask(self, now: float) -> bool:
        """Whether another question is within the rate; counts it."""
        self._credit = min(_RATE, self._credit + (now - self._since) * _RATE)
        self._since = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
