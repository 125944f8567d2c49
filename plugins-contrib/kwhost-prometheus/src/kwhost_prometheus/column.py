"""The column usec/call of `kwhost tui`: the mean time of an instance's system calls since its start."""

from collections import defaultdict
from collections.abc import Mapping

from kwhost.core.model.ids import InstanceId
from kwhost.hookspecs import TuiCell, TuiFleet, TuiInstanceColumn
from prometheus_client.parser import text_string_to_metric_families

from kwhost_prometheus.command import fetch

__all__ = ["COLUMN"]

_SUM, _COUNT = "kwhost_instance_call_seconds_sum", "kwhost_instance_call_seconds_count"


def _cells(fleet: TuiFleet) -> Mapping[InstanceId, TuiCell | str]:
    lines = fetch(fleet.run_dir / "metrics.sock").splitlines(keepends=True)
    # Of all lines, most of which are buckets, it reads two for each instance.
    wanted = "".join(line for line in lines if line.startswith((f"{_SUM}{{", f"{_COUNT}{{")))
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            found[sample.labels["tenant"], sample.labels["name"]][sample.name] = sample.value
    cells: dict[InstanceId, TuiCell | str] = {}
    for instance in fleet.instances:
        values = found.get((instance.tenant, instance.name), {})
        if count := values.get(_COUNT):
            cells[instance.id] = f"{values.get(_SUM, 0.0) / count * 1e6:.1f}"
    return cells


# Not µs: titles are in capitals, and that of µ looks like M.
COLUMN = TuiInstanceColumn(name="call-time", title="usec/call", width=10, right=True, read=_cells)
