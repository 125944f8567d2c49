"""For the tests of plugins: `pytest_plugins = ["kwhost.testing"]` in conftest.py.

    async def test_shells_are_refused(load_plugin):
        plugin = load_plugin(kwhost_shells, forbidden=["sh"])
        assert "sh" in await plugin.admit(make_definition(command=("sh",)))

The plugin is loaded by the same code as in the daemon, alone, beside a host that the test fills. A fault of
the plugin (an exception, a call that takes too long, an answer that makes no sense) fails the test, unless
the test takes it out of `plugin.faults`. Needs pytest and pytest-trio.

May import: core.pluginmgr, the hook specifications, core.model, core.errors.
"""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio

from kwhost.core.errors import KwhostError, NotFound
from kwhost.core.model.daemon import PluginStatus
from kwhost.core.model.decisions import (
    Answer,
    Call,
    Decision,
    DecisionKind,
    Question,
    QuestionId,
    RuleRef,
)
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName, new_instance_id
from kwhost.core.model.network import Uplink
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import Health, InstanceState, InstanceStatus, TenantStatus, Usage
from kwhost.core.model.tenant import Tenant
from kwhost.core.pluginmgr.discovery import Candidate
from kwhost.core.pluginmgr.loading import add_plugin
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.core.pluginmgr.registry import Registry
from kwhost.hookspecs import ImagePlan, ImageRequest

__all__ = [
    "FakeHost",
    "LoadPlugin",
    "LoadedPlugin",
    "fake_host",
    "load_plugin",
    "make_call",
    "make_decision",
    "make_definition",
    "make_instance",
    "make_question",
    "make_tenant",
    "wait_until",
]

_PATIENCE_SECONDS = 20.0


def make_definition(**changes: Any) -> InstanceDefinition:
    """What an instance is asked to be: `true`, for the tenant acme, but for `changes`."""
    ordinary = InstanceDefinition(tenant=TenantName("acme"), name=InstanceName("web"), command=("true",))
    return replace(ordinary, **changes)


def make_tenant(**changes: Any) -> Tenant:
    """The tenant acme, but for `changes`."""
    return replace(Tenant(name=TenantName("acme")), **changes)


def make_instance(**changes: Any) -> InstanceStatus:
    """An instance that runs, but for `changes`."""
    ordinary = InstanceStatus(
        id=new_instance_id(),
        name=InstanceName("web"),
        tenant=TenantName("acme"),
        engine="direct",
        isolation="vm",
        state=InstanceState.RUNNING,
        health=Health.NONE,
        pid=4711,
        image="host",
        command=("true",),
        created=1_700_000_000.0,
        started=1_700_000_001.0,
        ended=None,
        exit_code=None,
        reason=None,
        message="",
        restarts=0,
    )
    return replace(ordinary, **changes)


_RULE = RuleRef(layer="instance", policy="web", text="ask connect")


def make_call(**changes: Any) -> Call:
    """A call of connect to an address, but for `changes`."""
    ordinary = Call(
        name="connect", arguments=(3, 0x7FFD_0000, 16, 0, 0, 0), object="192.0.2.1:443/tcp", pid=7
    )
    return replace(ordinary, **changes)


def make_question(instance: InstanceStatus, *, within: float = 30.0, **changes: Any) -> Question:
    """A question about make_call(), asked now, which has `within` seconds, but for `changes`."""
    now = time.time()
    ordinary = Question(
        id=QuestionId("q1"),
        time=now,
        deadline=now + within,
        tenant=instance.tenant,
        instance=instance.id,
        name=instance.name,
        call=make_call(),
        rule=_RULE,
    )
    return replace(ordinary, **changes)


def make_decision(instance: InstanceStatus, **changes: Any) -> Decision:
    """That make_call() was denied, but for `changes`."""
    ordinary = Decision(
        time=1_700_000_002.0,
        kind=DecisionKind.DENIED,
        tenant=instance.tenant,
        instance=instance.id,
        name=instance.name,
        call=make_call(),
        rule=_RULE,
        error="EPERM",
    )
    return replace(ordinary, **changes)


@dataclass(slots=True, kw_only=True)
class FakeHost:
    """A host as a test describes it; see kwhost.hookspecs.PluginHost. `refreshed`: the instances whose policy
    layers a plugin wanted to be asked for again; `refresh_error`: what that raises."""

    run_dir: Path
    state_dir: Path
    refreshed: list[InstanceId] = field(default_factory=list)
    refresh_error: KwhostError | None = None
    _tenants: tuple[TenantStatus, ...] = ()
    _instances: dict[InstanceId, InstanceStatus] = field(default_factory=dict)
    _usage: dict[InstanceId, Usage] = field(default_factory=dict)
    _statistics: dict[InstanceId, InstanceStatistics] = field(default_factory=dict)

    def set_tenants(self, *tenants: TenantStatus) -> None:
        """From now on these are the tenants."""
        self._tenants = tenants

    def set_instance(
        self,
        instance: InstanceStatus,
        usage: Usage | None = None,
        statistics: InstanceStatistics | None = None,
    ) -> None:
        """Add an instance, or change the one that has its id."""
        self._instances[instance.id] = instance
        self._usage[instance.id] = usage or Usage()
        if statistics:
            self._statistics[instance.id] = statistics

    def remove_instance(self, id: InstanceId) -> None:  # noqa: A002 - as in the protocol
        """The instance is no more."""
        del self._instances[id]

    def tenants(self) -> tuple[TenantStatus, ...]:
        """Every tenant."""
        return self._tenants

    def instances(self) -> tuple[InstanceStatus, ...]:
        """Every instance."""
        return tuple(self._instances.values())

    def usage(self, id: InstanceId) -> Usage:  # noqa: A002
        """What an instance uses."""
        self._find(id)
        return self._usage[id]

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:  # noqa: A002
        """What an instance's monitors counted."""
        self._find(id)
        return self._statistics.get(id)

    async def refresh_policy(self, id: InstanceId) -> None:  # noqa: A002
        """Take note that the policy layers of an instance are to be asked for."""
        self._find(id)
        if self.refresh_error:
            raise self.refresh_error
        self.refreshed.append(id)

    def _find(self, wanted: InstanceId) -> None:
        if wanted not in self._instances:
            raise NotFound(f"there is no instance {wanted}")


class LoadedPlugin:
    """A plugin at work beside a fake host. `lines` is what it logged, `faults` what it did wrong."""

    def __init__(self, name: str, registry: Registry, host: FakeHost) -> None:
        self.host = host
        self.lines: list[str] = []
        self.faults: list[str] = []
        self.plugins = Plugins(registry, self.faults.append, self.lines.append)
        self._name = name

    @property
    def status(self) -> PluginStatus:
        """As `kwhost plugin ls` shows it."""
        return next(status for status in self.plugins.statuses() if status.name == self._name)

    async def admit(self, definition: InstanceDefinition, tenant: Tenant | None = None) -> str | None:
        """Why the tenant may not have the instance; None: it may."""
        return await self.plugins.admit(tenant or make_tenant(), definition)

    async def policy_layer(
        self,
        instance: InstanceStatus,
        definition: InstanceDefinition | None = None,
        tenant: Tenant | None = None,
    ) -> Mapping[str, object] | None:
        """The plugin's layer for an instance, as a policy file's table; None: it wants none, or it failed.
        Without a definition and a tenant, they are ordinary ones of its names."""
        definition = definition or make_definition(tenant=instance.tenant, name=instance.name)
        tenant = tenant or make_tenant(name=instance.tenant)
        (answer,) = await self.plugins.policies.layers(tenant, definition, instance)
        return answer.table

    async def network_uplinks(
        self, subnet: tuple[IPv4Network, IPv6Network], tenant: Tenant | None = None
    ) -> tuple[Uplink, ...]:
        """Behind which interfaces a tenant's network goes on, while the plugin is being served."""
        return await self.plugins.network_uplinks(tenant or make_tenant(), subnet)

    async def plan_image(self, image: str, *, read_only: bool = False) -> ImagePlan:
        """How a root is made of an image of the plugin's, "NAME:REFERENCE", for acme/web. Raises what its
        `plan` does of KwhostError, ImageError for its faults."""
        request = ImageRequest(
            reference=image,
            instance=InstanceName("web"),
            tenant=TenantName("acme"),
            read_only=read_only,
            state_dir=self.host.state_dir,
        )
        return await self.plugins.plan_image(request)

    async def answer(self, question: Question) -> Answer | None:
        """What the plugin says to a question, while it is being served; None: it leaves it to others."""
        found = await self.plugins.policies.answer(question, question.deadline - time.time())
        return found[0] if found else None

    def decide(self, decision: Decision) -> None:
        """Tell the plugin of a decision; it hears of it while it is being served."""
        self.plugins.policies.tell(decision)

    def notify(self, kind: EventKind, instance: InstanceStatus, **changes: Any) -> None:
        """Tell the plugin of an event; it hears of it while it is being served."""
        event = Event(
            time=time.time(), kind=kind, tenant=instance.tenant, instance=instance.id, name=instance.name
        )
        self.plugins.notify(replace(event, **changes))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The daemon's background: `serve` has started, and events are delivered."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.plugins.serve, self.host)
            yield
            nursery.cancel_scope.cancel()


class LoadPlugin(Protocol):
    """`load_plugin(module_or_object, name="sample", key=value...)`: the rest is the configuration."""

    def __call__(self, plugin: object, name: str = "sample", /, **configuration: object) -> LoadedPlugin:
        """Fails the test where the plugin cannot be loaded or its configuration is wrong."""


async def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again until the condition holds; AssertionError where it takes too long."""
    with trio.move_on_after(_PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - a condition of any kind
            await trio.sleep(0.005)
        return
    raise AssertionError(f"did not become true within {_PATIENCE_SECONDS:g} s")


@pytest.fixture
def fake_host() -> Iterator[FakeHost]:
    """A host without tenants and instances; its run directory has a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="kwhost-") as directory:
        run_dir, state_dir = Path(directory) / "run", Path(directory) / "state"
        run_dir.mkdir()
        state_dir.mkdir(mode=0o700)
        yield FakeHost(run_dir=run_dir, state_dir=state_dir)


@pytest.fixture
def load_plugin(fake_host: FakeHost) -> Iterator[LoadPlugin]:
    """Loads plugins beside `fake_host`."""
    loaded: list[LoadedPlugin] = []

    def load(plugin: object, name: str = "sample", /, **configuration: object) -> LoadedPlugin:
        registry = Registry()
        found = add_plugin(registry, Candidate(name, "test", "", lambda: plugin))
        assert found.active, found.message
        result = LoadedPlugin(name, registry, fake_host)
        problems = result.plugins.configure({name: configuration} if configuration else {})
        assert not problems, "; ".join(f"{'.'.join(map(str, keys))}: {text}" for keys, text in problems)
        assert found.active, found.message
        loaded.append(result)
        return result

    yield load
    for plugin in loaded:
        assert plugin.faults == []
