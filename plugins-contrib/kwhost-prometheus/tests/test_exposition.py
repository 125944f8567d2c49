"""The text of the metrics: complete, escaped, bounded, and counters that only grow."""

from typing import Any

import pytest
from kwhost.core.model.events import EventKind
from kwhost.core.model.ids import TenantName
from kwhost.core.model.statistics import CallStatistics, InstanceStatistics
from kwhost.core.model.status import Health, TenantStatus, Usage
from kwhost.testing import FakeHost, LoadPlugin, make_instance, wait_until
from prometheus_client.parser import text_string_to_metric_families

from kwhost_prometheus import exporter as exporter_module
from kwhost_prometheus.counting import CALLS_MAX, CallCounts, NamedCalls
from kwhost_prometheus.exporter import Exporter
from kwhost_prometheus.plugin import Prometheus

FUTURE = 4_000_000_000.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def call(name: str, calls: int, failed: int = 0, refused: int = 0) -> CallStatistics:
    return CallStatistics(number=0, name=name, calls=calls, failed=failed, refused=refused, seconds=0.0)


def statistics(*calls: CallStatistics) -> InstanceStatistics:
    return InstanceStatistics(
        start_seconds=0.02, exits=7, faults=3, processes=1, threads=1, peak_memory=1, calls=calls
    )


class PlainHost:
    """A fake host as the exporter asks it, where no other plugin measures anything."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    async def metrics(self) -> tuple[()]:
        return ()


async def scrape(exporter: Exporter, host: FakeHost) -> Samples:
    plain: Any = PlainHost(host)
    text = await exporter.render(plain)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def key(metric: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return metric, frozenset(labels.items())


WEB = {"tenant": "acme", "name": "web"}


async def test_how_long_calls_took_is_a_histogram_of_all_of_them(fake_host: FakeHost) -> None:
    quick = call("getpid", 3)._replace(histogram=(0,) * 7 + (2, 1), seconds=0.001)
    slow = call("read", 5)._replace(histogram=(0,) * 20 + (4,) + (0,) * 10 + (1,), seconds=9.0)
    fake_host.set_instance(make_instance(), Usage(), statistics(quick, slow))

    found = await scrape(Exporter(), fake_host)

    name = "kwhost_instance_call_seconds"
    assert found[key(f"{name}_bucket", le="2.56e-07", **WEB)] == 2
    assert found[key(f"{name}_bucket", le="4.096e-06", **WEB)] == 3
    assert found[key(f"{name}_bucket", le="0.016777216", **WEB)] == 7
    assert found[key(f"{name}_bucket", le="+Inf", **WEB)] == found[key(f"{name}_count", **WEB)] == 8
    assert found[key(f"{name}_sum", **WEB)] == 9.001


async def test_an_instance_is_shown_with_all_that_is_known(fake_host: FakeHost) -> None:
    fake_host.set_instance(
        make_instance(restarts=2, health=Health.HEALTHY),
        Usage(cpu_seconds=1.5, memory=4096, memory_limit=8192, pids=3, exits=9),
        statistics(call("read", 10, failed=4, refused=1)),
    )

    found = await scrape(Exporter(), fake_host)

    assert found[key("kwhost_instance_cpu_seconds_total", **WEB)] == 1.5
    assert found[key("kwhost_instance_memory_bytes", **WEB)] == 4096
    assert found[key("kwhost_instance_memory_limit_bytes", **WEB)] == 8192
    assert found[key("kwhost_instance_pids", **WEB)] == 3
    assert found[key("kwhost_instance_exits_total", **WEB)] == 9
    assert found[key("kwhost_instance_restarts_total", **WEB)] == 2
    assert found[key("kwhost_instance_state", state="running", **WEB)] == 1
    assert found[key("kwhost_instance_state", state="exited", **WEB)] == 0
    assert found[key("kwhost_instance_health", health="healthy", **WEB)] == 1
    for outcome, count in (("ok", 6), ("failed", 3), ("refused", 1)):
        assert found[key("kwhost_instance_calls_total", call="read", outcome=outcome, **WEB)] == count
    assert key("kwhost_instance_pids_limit", **WEB) not in found


async def test_what_the_engine_process_does_not_count_is_absent(fake_host: FakeHost) -> None:
    counted = InstanceStatistics(
        start_seconds=0.02,
        exits=None,
        faults=None,
        processes=None,
        threads=None,
        peak_memory=None,
        calls=(call("openat", 5, failed=2, refused=2),),
        notified_only=True,
    )
    usage = Usage(pids=2, notified=5, refused=2, start_seconds=0.02)
    fake_host.set_instance(make_instance(engine="process", isolation="process"), usage, counted)

    found = await scrape(Exporter(), fake_host)

    mine = {name for name, labels in found if labels >= frozenset(WEB.items())}
    absent = ("exits_total", "faults_total", "calls_total", "call_seconds_count", "call_seconds_bucket")
    assert mine.isdisjoint(f"kwhost_instance_{name}" for name in absent)
    for outcome, count in (("ok", 3), ("refused", 2)):
        labels = {"call": "openat", "outcome": outcome} | WEB
        assert found[key("kwhost_instance_notified_calls_total", **labels)] == count


async def test_refused_packets_are_shown_by_reason(fake_host: FakeHost) -> None:
    fake_host.set_instance(make_instance(), Usage(sent_packets=9, refused_packets={"egress": 4, "host": 1}))

    found = await scrape(Exporter(), fake_host)

    assert found[key("kwhost_instance_sent_packets_total", **WEB)] == 9
    refused = {name: value for name, value in found.items() if "refused_packets" in name[0]}
    assert refused == {
        key("kwhost_instance_refused_packets_total", reason="egress", **WEB): 4,
        key("kwhost_instance_refused_packets_total", reason="host", **WEB): 1,
    }


async def test_tenants_are_shown_with_their_quotas(fake_host: FakeHost) -> None:
    quota: dict[str, float | None] = {"cpus": 2.0, "memory": None}
    fake_host.set_tenants(
        TenantStatus(
            name=TenantName("acme"),
            users=(),
            isolation="vm",
            instances=1,
            running=1,
            used={"cpus": 0.5},
            quota=quota,
        )
    )
    fake_host.set_instance(make_instance())

    found = await scrape(Exporter(), fake_host)

    assert found[key("kwhost_tenant_quota", tenant="acme", resource="cpus")] == 2
    assert found[key("kwhost_tenant_used", tenant="acme", resource="cpus")] == 0.5
    assert found[key("kwhost_tenant_instances", tenant="acme", state="running")] == 1
    assert found[key("kwhost_tenant_instances", tenant="acme", state="paused")] == 0
    assert key("kwhost_tenant_quota", tenant="acme", resource="memory") not in found


async def test_what_users_name_is_escaped_and_cut(fake_host: FakeHost) -> None:
    fake_host.set_instance(make_instance(image='a"b\\c\nkwhost_fake 1' + "x" * 1000))

    found = await scrape(Exporter(), fake_host)

    (labels,) = (dict(labels) for name, labels in found if name == "kwhost_instance_info")
    assert labels["image"].startswith('a"b\\c\nkwhost_fake 1')
    assert len(labels["image"]) == 200
    assert not [name for name, _ in found if name == "kwhost_fake"]


async def test_no_more_instances_than_allowed_are_shown(
    fake_host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_module, "INSTANCES_MAX", 3)
    for number in range(5):
        fake_host.set_instance(make_instance(name=f"web-{number}"))

    found = await scrape(Exporter(), fake_host)

    assert sum(name == "kwhost_instance_info" for name, _ in found) == 3
    assert found[key("kwhost_exporter_omitted_instances")] == 2


def test_calls_beyond_the_bound_are_counted_together_and_keep_their_place() -> None:
    names, instance = NamedCalls(), make_instance()
    many = [call(f"call_{number}", 100 - number) for number in range(CALLS_MAX + 3)]

    first = names.counts(instance, many)
    later = names.counts(instance, [*many[:-1], call(many[-1].name, 10_000)])

    assert len(first) == len(later) == CALLS_MAX + 1
    assert first["other"].ok == sum(entry.calls for entry in many[CALLS_MAX:])
    assert later["other"].ok > 10_000


def test_a_call_that_fails_after_a_look_takes_nothing_back() -> None:
    names, instance = NamedCalls(), make_instance()
    names.counts(instance, [call("accept", 5)])

    assert names.counts(instance, [call("accept", 5, failed=1)]) == {"accept": CallCounts(ok=5, failed=1)}


def test_a_restarted_instance_begins_at_zero() -> None:
    names, instance = NamedCalls(), make_instance(started=1.0)
    names.counts(instance, [call("read", 500)])
    restarted = make_instance(id=instance.id, started=2.0)

    assert names.counts(restarted, [call("read", 1)])["read"].ok == 1


async def test_every_start_counts_once_in_the_histogram(fake_host: FakeHost) -> None:
    exporter = Exporter()
    instance = make_instance(started=FUTURE)
    fake_host.set_instance(instance, Usage(start_seconds=0.025))
    for _ in range(3):
        found = await scrape(exporter, fake_host)

    assert found[key("kwhost_start_seconds_count", tenant="acme")] == 1
    assert found[key("kwhost_start_seconds_bucket", tenant="acme", le="0.02")] == 0
    assert found[key("kwhost_start_seconds_bucket", tenant="acme", le="0.03")] == 1
    assert found[key("kwhost_start_seconds_sum", tenant="acme")] == 0.025

    fake_host.set_instance(make_instance(id=instance.id, started=FUTURE + 1), Usage(start_seconds=20.0))
    fake_host.set_instance(make_instance(started=1.0), Usage(start_seconds=0.1))  # long before this exporter
    found = await scrape(exporter, fake_host)
    assert found[key("kwhost_start_seconds_count", tenant="acme")] == 2
    assert found[key("kwhost_start_seconds_bucket", tenant="acme", le="10.0")] == 1


async def test_an_instance_that_is_gone_before_the_scrape_is_in_the_histogram(
    fake_host: FakeHost, load_plugin: LoadPlugin
) -> None:
    implementation = Prometheus()
    plugin = load_plugin(implementation, "prometheus")
    instance = make_instance(started=FUTURE)
    fake_host.set_instance(instance, Usage(start_seconds=0.5))
    async with plugin.serving():
        plugin.notify(EventKind.STARTED, instance)
        await wait_until(implementation._exporter._starts.cumulative)
    fake_host.remove_instance(instance.id)

    found = await scrape(implementation._exporter, fake_host)

    assert found[key("kwhost_start_seconds_count", tenant="acme")] == 1


async def test_an_instance_that_vanishes_during_the_scrape_is_left_out(fake_host: FakeHost) -> None:
    gone = make_instance(name="gone")
    fake_host.set_instance(make_instance())
    fake_host.set_instance(gone)
    instances = fake_host.instances()
    fake_host.remove_instance(gone.id)

    class Stale(PlainHost):
        def instances(self) -> Any:
            return instances

    stale: Any = Stale(fake_host)
    text = (await Exporter().render(stale)).decode()

    assert 'name="web"' in text
    assert 'name="gone"' not in text
