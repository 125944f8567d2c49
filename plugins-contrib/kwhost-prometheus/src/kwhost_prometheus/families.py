"""From a snapshot of the host to metric families. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kwhost.core.model.ids import TenantName
from kwhost.core.model.status import Health, InstanceState, InstanceStatus, TenantStatus, Usage
from kwhost.hookspecs import Metric as Contributed
from kwhost.hookspecs import MetricKind
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from kwhost_prometheus.counting import CallCounts, CallTimes

__all__ = ["InstanceRow", "Snapshot", "families"]

# Names that users choose freely end up in labels.
_LABEL_MAX = 200
_IDENTITY = ("tenant", "name")


class InstanceRow(NamedTuple):
    """One instance with what it uses and called. `notified_only`: nobody counts other calls (the engine
    `process`)."""

    status: InstanceStatus
    usage: Usage
    calls: dict[str, CallCounts]
    times: CallTimes | None
    notified_only: bool = False


class Snapshot(NamedTuple):
    """Everything that one scrape shows."""

    tenants: tuple[TenantStatus, ...]
    states: dict[tuple[TenantName, InstanceState], int]
    rows: Sequence[InstanceRow]
    omitted: int
    starts: dict[TenantName, tuple[list[tuple[str, float]], float]]
    contributed: tuple[Contributed, ...]


class _Column(NamedTuple):
    """A metric with one value for each instance."""

    name: str
    text: str
    family: type[CounterMetricFamily] | type[GaugeMetricFamily]
    value: Callable[[InstanceRow], float | None]


_COLUMNS = (
    _Column("restarts", "Restarts by policy.", CounterMetricFamily, lambda row: row.status.restarts),
    _Column("cpu_seconds", "CPU time.", CounterMetricFamily, lambda row: row.usage.cpu_seconds),
    _Column("memory_bytes", "Memory in use.", GaugeMetricFamily, lambda row: row.usage.memory),
    _Column(
        "memory_peak_bytes", "Most memory ever in use.", GaugeMetricFamily, lambda row: row.usage.memory_peak
    ),
    _Column("memory_limit_bytes", "Limit on memory.", GaugeMetricFamily, lambda row: row.usage.memory_limit),
    _Column("pids", "Guest processes and threads.", GaugeMetricFamily, lambda row: row.usage.pids),
    _Column("pids_limit", "Limit on pids.", GaugeMetricFamily, lambda row: row.usage.pids_limit),
    _Column("read_bytes", "Read from block devices.", CounterMetricFamily, lambda row: row.usage.read_bytes),
    _Column(
        "written_bytes", "Written to block devices.", CounterMetricFamily, lambda row: row.usage.written_bytes
    ),
    _Column("sent_bytes", "Sent to networks.", CounterMetricFamily, lambda row: row.usage.sent_bytes),
    _Column("sent_packets", "Likewise packets.", CounterMetricFamily, lambda row: row.usage.sent_packets),
    _Column(
        "received_bytes", "Received from networks.", CounterMetricFamily, lambda row: row.usage.received_bytes
    ),
    _Column(
        "received_packets", "Likewise packets.", CounterMetricFamily, lambda row: row.usage.received_packets
    ),
    _Column("exits", "Exits of the virtual machine.", CounterMetricFamily, lambda row: row.usage.exits),
    _Column("faults", "Page faults.", CounterMetricFamily, lambda row: row.usage.faults),
)


def _identity(status: InstanceStatus) -> list[str]:
    return [status.tenant, status.name]


def _tenants(snapshot: Snapshot) -> Iterator[Metric]:
    instances = GaugeMetricFamily(
        "kwhost_tenant_instances", "Instances by state.", labels=("tenant", "state")
    )
    quota = GaugeMetricFamily("kwhost_tenant_quota", "What a tenant may have.", labels=("tenant", "resource"))
    used = GaugeMetricFamily(
        "kwhost_tenant_used", "What of its quota a tenant has.", labels=("tenant", "resource")
    )
    for tenant in snapshot.tenants:
        for state in InstanceState:
            instances.add_metric([tenant.name, state.value], snapshot.states.get((tenant.name, state), 0))
        for resource, limit in tenant.quota.items():
            if limit is not None:
                quota.add_metric([tenant.name, resource], limit)
                used.add_metric([tenant.name, resource], tenant.used.get(resource, 0))
    yield from (instances, quota, used)


def _states(snapshot: Snapshot) -> Iterator[Metric]:
    info = InfoMetricFamily("kwhost_instance", "What an instance is.", labels=_IDENTITY)
    state = GaugeMetricFamily("kwhost_instance_state", "1 for its state.", labels=(*_IDENTITY, "state"))
    health = GaugeMetricFamily("kwhost_instance_health", "1 for its health.", labels=(*_IDENTITY, "health"))
    for row in snapshot.rows:
        status, identity = row.status, _identity(row.status)
        about = {
            "id": status.id,
            "engine": status.engine,
            "isolation": status.isolation,
            "image": status.image[:_LABEL_MAX],
        }
        info.add_metric(identity, about)
        for one in InstanceState:
            state.add_metric([*identity, one.value], one is status.state)
        for other in Health:
            health.add_metric([*identity, other.value], other is status.health)
    yield from (info, state, health)


def _columns(snapshot: Snapshot) -> Iterator[Metric]:
    for column in _COLUMNS:
        family = column.family(f"kwhost_instance_{column.name}", column.text, labels=_IDENTITY)
        for row in snapshot.rows:
            value = column.value(row)
            if value is not None:
                family.add_metric(_identity(row.status), value)
        yield family


def _calls(snapshot: Snapshot) -> Iterator[Metric]:
    """Those that are counted in part have a name of their own, so that nobody adds them to the others."""
    labels = (*_IDENTITY, "call", "outcome")
    every = CounterMetricFamily("kwhost_instance_calls", "System calls.", labels=labels)
    text = "System calls that the filter of the engine process asked about; no others are counted."
    notified = CounterMetricFamily("kwhost_instance_notified_calls", text, labels=labels)
    for row in snapshot.rows:
        family = notified if row.notified_only else every
        for name, counts in sorted(row.calls.items()):
            outcomes = (("ok", counts.ok), ("failed", counts.failed), ("refused", counts.refused))
            for outcome, count in outcomes:
                if count or outcome == "ok":
                    family.add_metric([*_identity(row.status), name, outcome], count)
    yield from (every, notified)


def _call_times(snapshot: Snapshot) -> Iterator[Metric]:
    text = "How long system calls took, waiting included."
    family = HistogramMetricFamily("kwhost_instance_call_seconds", text, labels=_IDENTITY)
    for row in snapshot.rows:
        if row.times:
            family.add_metric(_identity(row.status), buckets=row.times.buckets, sum_value=row.times.sum)
    yield family


def _refused_packets(snapshot: Snapshot) -> Iterator[Metric]:
    labels = (*_IDENTITY, "reason")
    family = CounterMetricFamily(
        "kwhost_instance_refused_packets", "Packets that its network refused.", labels=labels
    )
    for row in snapshot.rows:
        for reason, count in sorted((row.usage.refused_packets or {}).items()):
            family.add_metric([*_identity(row.status), reason], count)
    yield family


def _starts(snapshot: Snapshot) -> Iterator[Metric]:
    text = "From the request to the first guest instruction."
    family = HistogramMetricFamily("kwhost_start_seconds", text, labels=("tenant",))
    for tenant, (buckets, total) in snapshot.starts.items():
        family.add_metric([tenant], buckets=buckets, sum_value=total)
    yield family


def _contributed(snapshot: Snapshot) -> Iterator[Metric]:
    """What other plugins measure; labels of one metric may differ from sample to sample."""
    for metric in snapshot.contributed:
        counter = metric.kind is MetricKind.COUNTER
        family = Metric(metric.name.removesuffix("_total"), metric.help, "counter" if counter else "gauge")
        for sample in metric.samples:
            family.add_sample(metric.name, sample.labels, sample.value)
        yield family


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """All of them; a name that is this plugin's own is not taken from others."""
    own: set[str] = set()
    for part in (_tenants, _states, _columns, _calls, _call_times, _refused_packets, _starts):
        for family in part(snapshot):
            own.add(family.name)
            yield family
    omitted = GaugeMetricFamily("kwhost_exporter_omitted_instances", "Instances that are not exported.")
    omitted.add_metric([], snapshot.omitted)
    yield omitted
    own.add(omitted.name)
    yield from (family for family in _contributed(snapshot) if family.name not in own)
