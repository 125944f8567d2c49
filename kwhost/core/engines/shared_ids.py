"""Ranges of ids that several instances have: of tenants whose volumes' owners cannot be mapped."""

from kwhost.core.engines.id_ranges import IdLease, lease_again, lease_for_several

__all__ = ["SharedRanges"]


class SharedRanges:
    """Those that a daemon holds as long as it lives, so that no instance gets one for itself."""

    def __init__(self, uid_base: int) -> None:
        self._uid_base = uid_base
        self._held: dict[int, IdLease] = {}

    def choose(self) -> int:
        """The first id of a new one. Raises HostError."""
        lease = lease_for_several(self._uid_base)
        self._held[lease.ids.uid_base] = lease
        return lease.ids.uid_base

    def hold(self, first: int) -> None:
        """Have one that was chosen once. Raises HostError."""
        if first not in self._held:
            self._held[first] = lease_again(first)

    def close(self) -> None:
        """Leave them to the instances that have them."""
        for lease in self._held.values():
            lease.close()
