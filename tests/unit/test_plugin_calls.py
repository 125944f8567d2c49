"""Plugins at work: whatever one does, the others, the daemon and the promises go on."""

import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from kwhost.core.errors import ImageError
from kwhost.core.model.events import EventKind
from kwhost.core.model.image import ImageSettings
from kwhost.core.pluginmgr import calls, delivery, images
from kwhost.core.pluginmgr.faults import PluginFault, one_line
from kwhost.core.pluginmgr.plugin import FAULTS_MAX
from kwhost.hookspecs import ImagePlan, ImageRequest, ImageSource, Metric, MetricKind, PluginHost, Sample
from kwhost.testing import (
    FakeHost,
    LoadPlugin,
    fake_host,
    load_plugin,
    make_definition,
    make_instance,
    make_tenant,
    wait_until,
)
from tests.unit.plugin_parts import Bench, image_request, make_plugin

__all__ = ["fake_host", "load_plugin"]

BACKOFF_BEYOND = 300.0


async def admit(bench: Bench) -> str | None:
    return await bench.manager.admit(make_tenant(), make_definition())


def yes() -> None:
    return None


async def async_yes() -> None:
    await trio.lowlevel.checkpoint()


def raising(error: BaseException) -> Callable[[], object]:
    def function() -> object:
        raise error

    return function


async def test_all_plugins_must_agree() -> None:
    bench = Bench(a=make_plugin(admit_instance=yes), b=make_plugin(admit_instance=async_yes))
    assert await admit(bench) is None

    bench.add("c", make_plugin(admit_instance=lambda definition: f"not {definition.name}"))
    assert await admit(bench) == "the plugin c refuses it: not web"


async def test_a_plain_hook_may_return_an_async_function() -> None:
    async def decide() -> str:
        await trio.lowlevel.checkpoint()
        return "no"

    assert await admit(Bench(a=make_plugin(admit_instance=lambda: decide))) == "the plugin a refuses it: no"


async def asynchronously_raising() -> None:
    await trio.lowlevel.checkpoint()
    raise ExceptionGroup("both", [ValueError("first"), SystemExit(1)])  # type: ignore[type-var]


@pytest.mark.parametrize(
    "hook",
    [
        raising(ValueError("broken")),
        raising(SystemExit(1)),
        raising(KeyboardInterrupt()),
        raising(PluginFault("own")),
        lambda: 42,
        lambda: True,
        lambda tenant: tenant,
        asynchronously_raising,
    ],
)
async def test_a_plugin_that_fails_refuses(hook: Callable[..., object]) -> None:
    bench = Bench(a=make_plugin(admit_instance=hook))

    assert str(await admit(bench)).startswith("the plugin a, which decides on admission, failed: ")
    assert len(bench.faults) == 1


async def test_a_plugin_that_waits_too_long_refuses(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(a=make_plugin(admit_instance=trio.sleep_forever))

    assert "no answer within 5 s" in str(await admit(bench))


async def test_a_plugin_that_never_returns_costs_a_thread_and_not_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "DEADLINE_SECONDS", 0.05)
    gate = threading.Event()
    bench = Bench(a=make_plugin(admit_instance=lambda: gate.wait() and None))

    reason = await admit(bench)
    gate.set()

    assert reason == "the plugin a, which decides on admission, failed: no answer within 0.05 s"


async def test_after_too_many_failures_a_plugin_is_disabled_and_still_refuses() -> None:
    bench = Bench(a=make_plugin(admit_instance=raising(ValueError("broken"))))
    for _ in range(FAULTS_MAX):
        await admit(bench)

    assert bench.state("a")[0] == "failed"
    assert "which decides on admission, does not work" in str(await admit(bench))
    assert len(bench.faults) == FAULTS_MAX


async def test_one_success_begins_the_count_anew() -> None:
    answers: list[object] = [3, 3, 3, 3, None] * 3
    bench = Bench(a=make_plugin(admit_instance=lambda: answers.pop(0)))

    for _ in range(15):
        await admit(bench)

    assert bench.registry.plugins["a"].active
    assert bench.registry.plugins["a"].failures == 12


async def test_a_plugin_for_admission_that_cannot_be_loaded_refuses() -> None:
    bench = Bench(a=make_plugin(admit_instance=yes, engines=lambda: "nonsense"))

    assert "engines: the answer is str" in str(await admit(bench))


async def test_a_required_plugin_that_is_missing_refuses() -> None:
    assert "there is no such plugin" in str(await admit(Bench(required=("audit",))))
    assert await admit(Bench(required=("audit",), audit=make_plugin(admit_instance=yes))) is None


async def test_reasons_are_one_bounded_line() -> None:
    bench = Bench(a=make_plugin(admit_instance=lambda: "a\n\x1b[31m" + "b" * 10_000))

    reason = await admit(bench)

    assert reason
    assert reason.isprintable()
    assert len(reason) < 400


async def test_events_come_in_order_to_every_plugin_that_works(fake_host: FakeHost) -> None:
    seen: list[str] = []
    bench = Bench(
        broken=make_plugin(instance_event=raising(ValueError("broken"))),
        sound=make_plugin(instance_event=lambda event: seen.append(event.text)),
    )
    await in_background(bench, fake_host, partial(send_events, bench, seen))

    assert seen == [str(number) for number in range(20)]
    assert len(bench.faults) == FAULTS_MAX


async def send_events(bench: Bench, seen: list[str]) -> None:
    for number in range(20):
        bench.manager.notify(make_event(str(number)))
    await wait_until(lambda: len(seen) == 20 and len(bench.faults) == FAULTS_MAX)


def make_event(text: str) -> Any:
    return SimpleNamespace(instance="0123456789ab", text=text)


async def in_background(bench: Bench, host: FakeHost, action: Callable[[], Any]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.manager.serve, host)
        await action()
        nursery.cancel_scope.cancel()


async def test_a_plugin_that_does_not_keep_up_misses_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "EVENTS_MAX", 3)
    bench = Bench(a=make_plugin(instance_event=yes))

    for number in range(10):
        bench.manager.notify(make_event(str(number)))

    assert bench.faults == ["plugin a: has 3 events before it and misses those that follow"]


async def test_plain_hooks_may_ask_the_host_from_their_thread(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    def instance_event(event: Any, host: PluginHost) -> None:
        assert trio.lowlevel.in_trio_run() is False
        host.log(f"{host.usage(event.instance).pids} of {len(host.instances())}")

    instance = make_instance()
    fake_host.set_instance(instance)
    plugin = load_plugin(make_plugin(instance_event=instance_event))
    async with plugin.serving():
        plugin.notify(EventKind.STARTED, instance)
        await wait_until(lambda: plugin.lines)

    assert plugin.lines == ["plugin sample: None of 1"]


def metric(name: str, value: Any = 1.0, kind: MetricKind = MetricKind.GAUGE, **labels: Any) -> Metric:
    return Metric(name=name, help="Something.", kind=kind, samples=(Sample(value=value, labels=labels),))


async def test_metrics_of_all_plugins_are_collected_and_nonsense_is_not(fake_host: FakeHost) -> None:
    nonsense: dict[str, object] = {
        "none": None,
        "name": [metric("no name")],
        "value": [metric("a", "1")],
        "nan": [metric("a", float("nan"))],
        "label": [metric("a", __name__="x")],
        "label_value": [metric("a", x=3)],
        "counter": [metric("a", kind=MetricKind.COUNTER)],
        "twice": [metric("a"), metric("a")],
    }
    plugins = {name: make_plugin(metrics=lambda answer=answer: answer) for name, answer in nonsense.items()}
    bench = Bench(good=make_plugin(metrics=lambda: [metric("b", x="y")]))
    for name, plugin in plugins.items():
        bench.add(name, plugin)
    found: list[Metric] = []

    async def collect() -> None:
        found.extend(await bench.manager.metrics())

    await in_background(bench, fake_host, collect)

    assert found == [metric("b", x="y")]
    assert {line.split(":")[0].removeprefix("plugin ") for line in bench.faults} == nonsense.keys()


async def test_serve_is_started_again_with_growing_pauses_and_in_the_end_not_at_all(
    fake_host: FakeHost, autojump_clock: trio.testing.MockClock
) -> None:
    starts: list[float] = []

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        starts.append(trio.current_time())
        task_status.started()
        await trio.sleep(1)
        raise OSError("gone")

    bench = Bench(a=make_plugin(serve=serve))
    await in_background(bench, fake_host, partial(trio.sleep, BACKOFF_BEYOND))

    assert [round(later - earlier) for earlier, later in pairwise(starts)] == [
        2,
        3,
        5,
        9,
    ]
    assert bench.state("a")[0] == "failed"


async def test_a_serve_that_never_reports_its_start_holds_nobody_up(
    fake_host: FakeHost, autojump_clock: trio.testing.MockClock
) -> None:
    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    bench = Bench(a=make_plugin(serve=serve))
    await in_background(bench, fake_host, trio.lowlevel.checkpoint)

    assert bench.faults == ["plugin a: serve: did not start within 5 s"]


async def test_a_serve_that_returns_is_fine(fake_host: FakeHost) -> None:
    bench = Bench(a=make_plugin(serve=async_yes))

    await in_background(bench, fake_host, trio.testing.wait_all_tasks_blocked)

    assert bench.faults == []


def plans(plan: Callable[[ImageRequest], Any]) -> Bench:
    return Bench(a=make_plugin(image_sources=lambda: [ImageSource(name="oci", plan=plan)]))


async def plan_image(bench: Bench, image: str = "oci:alpine") -> ImagePlan:
    return await bench.manager.plan_image(image_request(image))


async def test_an_image_is_planned_by_the_source_of_its_name() -> None:
    plan = await plan_image(
        plans(lambda request: ImagePlan(mounts=(), accounts_root=f"/{request.reference}"))
    )

    assert plan.accounts_root == "/alpine"


async def test_what_names_no_source_is_the_stores_all_of_it() -> None:
    def plan(request: ImageRequest) -> ImagePlan:
        return ImagePlan(mounts=(), accounts_root=f"/{request.tenant}/{request.reference}")

    def other(request: ImageRequest) -> ImagePlan:
        raise KeyError(request.reference)

    sources = [ImageSource(name="store", plan=plan), ImageSource(name="oci", plan=other)]
    bench = Bench(a=make_plugin(image_sources=lambda: sources))

    for image in ("alpine:3", "store:3", "localhost:5000/app"):
        assert (await plan_image(bench, image)).accounts_root == f"/acme/{image}"


async def test_what_an_image_says_of_itself_comes_with_its_plan() -> None:
    settings = ImageSettings(command=("/bin/app",), environment={"A": "b"}, stop_signal=2)
    digest = f"sha256:{'0' * 64}"

    plan = await plan_image(
        plans(lambda _: ImagePlan(mounts=(), accounts_root="/", settings=settings, digest=digest))
    )

    assert (plan.settings, plan.digest) == (settings, digest)


async def test_a_plan_that_makes_no_sense_pins_nothing() -> None:
    ours, pin = os.pipe()

    with pytest.raises(ImageError):
        await plan_image(plans(lambda _: ImagePlan(mounts=(), accounts_root="x", pin=pin)))

    assert os.read(ours, 1) == b""
    os.close(ours)


async def test_a_plan_that_comes_too_late_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PLAN_SECONDS", 0.05)
    ours, pin = os.pipe()
    late = threading.Event()

    def plan(_: ImageRequest) -> ImagePlan:
        late.wait()
        return ImagePlan(mounts=(), accounts_root="/", pin=pin)

    with pytest.raises(ImageError, match=r"the plugin a failed: image source oci: no plan within 0\.05 s"):
        await plan_image(plans(plan))
    late.set()

    assert await trio.to_thread.run_sync(os.read, ours, 1) == b""
    os.close(ours)


async def test_an_image_of_no_source_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ImageError, match=r"no image source has the image 'docker:x'; there are: oci"):
        await plan_image(plans(lambda request: None), "docker:x")


async def test_what_a_source_says_about_an_image_is_no_fault_of_the_plugin() -> None:
    bench = plans(lambda request: raising(ImageError("no such tag"))())

    with pytest.raises(ImageError, match=r"^no such tag$"):
        await plan_image(bench)
    assert bench.faults == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ImagePlan(mounts=(1,), accounts_root="/"),  # type: ignore[arg-type]
        ImagePlan(mounts=(), accounts_root="x"),
        ImagePlan(mounts=(), accounts_root="/", digest="sha256:../x"),
        ImagePlan(mounts=(), accounts_root="/", pin="3"),  # type: ignore[arg-type]
        ImagePlan(mounts=(), accounts_root="/", settings=ImageSettings(command="sh")),  # type: ignore[arg-type]
        ImagePlan(mounts=(), accounts_root="/", settings={"command": ["sh"]}),  # type: ignore[arg-type]
    ],
)
async def test_a_plan_that_makes_no_sense_is_a_fault(answer: object) -> None:
    bench = plans(lambda request: answer)

    with pytest.raises(ImageError, match="the plugin a failed"):
        await plan_image(bench)
    assert len(bench.faults) == 1


def test_an_exception_is_told_in_one_line_whatever_its_text_does() -> None:
    class Hostile(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    assert one_line(Hostile()) == "Hostile"
    assert one_line(ExceptionGroup("", [OSError("a\nb")])) == "OSError: a b"
    several = BaseExceptionGroup("both", [SystemExit(3), ExceptionGroup("", [ValueError("v")])])
    assert one_line(several) == "SystemExit: 3; ValueError: v"
