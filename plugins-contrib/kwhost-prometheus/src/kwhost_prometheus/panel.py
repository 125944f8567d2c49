"""The tab Prometheus of `kwhost tui`: what a scrape sees of an instance."""

from collections.abc import Sequence

from kwhost.hookspecs import TuiCell, TuiColumn, TuiPanel, TuiSource, TuiTone
from prometheus_client.parser import text_string_to_metric_families

from kwhost_prometheus.command import fetch

__all__ = ["PANEL"]

# A tab shows so many rows.
_ROWS_MAX = 1000


def _rows(source: TuiSource) -> Sequence[Sequence[TuiCell | str]]:
    wanted = {"tenant": source.instance.tenant, "name": source.instance.name}
    rows: list[Sequence[TuiCell | str]] = []
    for family in text_string_to_metric_families(fetch(source.run_dir / "metrics.sock")):
        for sample in family.samples:
            if sample.labels.items() >= wanted.items():
                more = {key: value for key, value in sample.labels.items() if key not in wanted}
                labels = ", ".join(f"{key}={value}" for key, value in more.items())
                tone = TuiTone.PLAIN if sample.value else TuiTone.DIM
                rows.append((sample.name, TuiCell(labels, TuiTone.DIM), TuiCell(f"{sample.value:g}", tone)))
    return rows[:_ROWS_MAX]


PANEL = TuiPanel(
    name="metrics",
    title="Prometheus",
    columns=(TuiColumn("metric", 44), TuiColumn("labels", 0), TuiColumn("value", 14, right=True)),
    read=_rows,
)
