"""The network `tenant` of an ordinary user's daemon: each instance is alone in a network of its own, which a
process of the user's drives (core.supervise.driver)."""

from ipaddress import ip_network

from kwhost.core.errors import Conflict, LimitError, NetworkError
from kwhost.core.model.network import NO_LIMITS, Egress, EgressRule, Prefix, TenantNetwork
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.driver import Driven, NetworkDriver, load_driver, prepare_driven

__all__ = ["DrivenNetworks"]

_NO_NETWORK = TenantNetwork()


def _egress(record: InstanceRecord, tenant: Tenant) -> tuple[EgressRule, ...]:
    rules = (*(tenant.network or _NO_NETWORK).egress, *record.definition.traffic.egress)
    return tuple(EgressRule(to=_prefix(one), transport=one.transport, ports=one.ports) for one in rules)


def _prefix(rule: Egress) -> Prefix:
    try:
        return ip_network(rule.to)
    except ValueError:
        text = f"calls to {rule.to} by its name can be allowed by a daemon of root's only"
        raise NetworkError(f"{text}: name its addresses") from None


class DrivenNetworks:
    """Part of supervise.networking.Networks."""

    def __init__(self) -> None:
        self._started: dict[str, InstanceRecord] = {}

    def prepare(self, record: InstanceRecord, tenant: Tenant) -> Driven:
        """For the start of an instance. Raises LimitError, Conflict and NetworkError."""
        if {(tenant.network or _NO_NETWORK).limits, record.definition.traffic.limits} != {NO_LIMITS}:
            raise LimitError("traffic can be limited by a daemon of root's only")
        driven = prepare_driven(record.definition.ports, _egress(record, tenant))
        self._started[record.id] = record
        return driven

    def driver(self, record: InstanceRecord, tenant: Tenant) -> NetworkDriver:
        """Of an instance that an earlier daemon started."""
        self._started[record.id] = record
        return load_driver(record.definition.ports, _egress(record, tenant))

    def redefine(self, record: InstanceRecord) -> None:
        """Raises Conflict for what a running instance cannot have changed."""
        started = self._started.get(record.id)
        if started and (started.definition.ports, started.definition.traffic) != (
            record.definition.ports,
            record.definition.traffic,
        ):
            text = "its ports and traffic change with its next start: restart it"
            raise Conflict(f"{record.name} belongs to an ordinary user's daemon: {text}")

    def forget(self, instance: str) -> None:
        """It has ended."""
        self._started.pop(instance, None)
