"""One scrape: look at the host without holding its loop up, then write the text in a thread."""

import time
from collections import Counter
from collections.abc import Iterator

import trio
from kwhost.core.errors import KwhostError
from kwhost.core.model.events import Event, EventKind
from kwhost.hookspecs import PluginHost
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from kwhost_prometheus.counting import NamedCalls, StartTimes, call_times
from kwhost_prometheus.families import InstanceRow, Snapshot, families

__all__ = ["INSTANCES_MAX", "Exporter"]

INSTANCES_MAX = 2000

# Instances that are looked at before others of the daemon's tasks have their turn.
_AT_ONCE = 20


class _Families(Collector):
    """prometheus-client's writer takes a collector."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """The snapshot's families."""
        return families(self._snapshot)


class Exporter:
    """Makes the text of the metrics; remembers what counters need."""

    def __init__(self) -> None:
        self._calls = NamedCalls()
        self._starts = StartTimes(time.time())

    def see(self, event: Event, host: PluginHost) -> None:
        """Starts are looked at when they happen, since an instance may be gone before the next scrape."""
        if event.kind not in (EventKind.STARTED, EventKind.EXITED):
            return
        for instance in host.instances():
            if instance.id == event.instance:
                self._starts.observe(instance, host.usage(instance.id).start_seconds)

    async def render(self, host: PluginHost) -> bytes:
        """All metrics in the text format."""
        snapshot = await self._look(host)
        return await trio.to_thread.run_sync(generate_latest, _Families(snapshot))

    async def _look(self, host: PluginHost) -> Snapshot:
        instances = host.instances()
        shown = instances[:INSTANCES_MAX]
        present = [instance.id for instance in instances]
        self._calls.keep(present)
        self._starts.keep(present)
        rows = []
        for number, instance in enumerate(shown):
            if number % _AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            try:
                usage = host.usage(instance.id)
                statistics = host.call_statistics(instance.id)
            except KwhostError:
                continue  # it was removed meanwhile
            self._starts.observe(instance, usage.start_seconds)
            calls = statistics.calls if statistics else ()
            counts = self._calls.counts(instance, calls)
            notified = statistics is not None and statistics.notified_only
            times = call_times(calls) if statistics and not notified else None
            rows.append(InstanceRow(instance, usage, counts, times, notified))
        return Snapshot(
            tenants=host.tenants(),
            states=Counter((instance.tenant, instance.state) for instance in instances),
            rows=rows,
            omitted=len(instances) - len(shown),
            starts=self._starts.cumulative(),
            contributed=await host.metrics(),
        )
