"""Instances by tenant: a row for each tenant, and those of its instances below it. Pure."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from kwhost.core.model.status import Health, InstanceState
from kwhost.tui.fleet import Row

__all__ = ["Shown", "TenantRow", "tree"]

_Order = Callable[["Shown"], Any]


class TenantRow(NamedTuple):
    """A tenant with those of its instances that fit the filter; sums are over them."""

    tenant: str
    rows: tuple[Row, ...]
    is_open: bool

    @property
    def running(self) -> int:
        """How many run."""
        return sum(row.status.state is InstanceState.RUNNING for row in self.rows)

    @property
    def unhealthy(self) -> int:
        """How many say so."""
        return sum(row.status.health is Health.UNHEALTHY for row in self.rows)

    @property
    def restarts(self) -> int:
        """Of all."""
        return sum(row.status.restarts for row in self.rows)

    @property
    def memory(self) -> int:
        """In bytes."""
        return sum(row.usage.memory or 0 for row in self.rows)

    def total(self, name: str) -> float:
        """The sum of a rate, which is a field of Row."""
        return sum(getattr(row, name) or 0.0 for row in self.rows)


Shown = Row | TenantRow


def tree(
    rows: Iterable[Row], opened: Collection[str], order: _Order | None, *, descending: bool
) -> list[Shown]:
    """Tenants, each followed by its instances where it is `opened`; both in the order."""
    by_tenant: dict[str, list[Row]] = {}
    for row in rows:
        by_tenant.setdefault(row.status.tenant, []).append(row)
    tenants = [TenantRow(tenant, tuple(own), tenant in opened) for tenant, own in sorted(by_tenant.items())]
    if order:
        tenants.sort(key=order, reverse=descending)
    shown: list[Shown] = []
    for tenant in tenants:
        shown.append(tenant)
        if tenant.is_open:
            shown += sorted(tenant.rows, key=order, reverse=descending) if order else tenant.rows
    return shown
