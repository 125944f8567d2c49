"""What the daemon does with plugins. A plugin that raises, hangs or answers nonsense fails alone: it is
reported, and disabled after FAULTS_MAX failures in a row. Where one decides, its failure means refusal."""

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, cast

import trio

from kwhost.core.errors import ImageError
from kwhost.core.model.daemon import PluginStatus
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import Event
from kwhost.core.model.network import Uplink
from kwhost.core.model.tenant import Tenant
from kwhost.core.pluginmgr.background import Service
from kwhost.core.pluginmgr.calls import THREADS_MAX, call_hook
from kwhost.core.pluginmgr.delivery import EventQueue
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.core.pluginmgr.host import HostOfPlugin
from kwhost.core.pluginmgr.images import plan_image, source_of
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.core.pluginmgr.policies import ANSWERS_MAX, PolicyPlugins
from kwhost.core.pluginmgr.registry import Registry
from kwhost.core.pluginmgr.sections import SectionProblem, read_section
from kwhost.core.pluginmgr.storages import guarded_storages
from kwhost.hookspecs import (
    DEADLINE_SECONDS,
    EngineOffer,
    HostView,
    ImagePlan,
    ImageRequest,
    Metric,
    NetworkOffer,
    StorageOffer,
)

if TYPE_CHECKING:
    from kwhost.core.model.ids import TenantName

__all__ = ["Plugins"]

_Subnet = tuple[IPv4Network, IPv6Network]


class Plugins:
    """The loaded plugins, at work. `report` gets a line for whatever a plugin does wrong, `log` those that
    plugins log; both name the plugin."""

    def __init__(self, registry: Registry, report: Callable[[str], None], log: Callable[[str], None]) -> None:
        self._registry = registry
        self.report = report
        self._log = log
        self._limiters: dict[str, trio.CapacityLimiter] = {}
        self._queues = {
            plugin.name: EventQueue[Event](partial(self._report_of, plugin))
            for plugin in registry.implementers("instance_event")
        }
        self._hosts: dict[str, HostOfPlugin] = {}
        self.policies = PolicyPlugins(registry, self._call, self._hosts, self._report_of)
        self._services: dict[str, Service] = {}
        # By plugin and tenant: what a plugin answered last, for a subnet.
        self._uplinks: dict[tuple[str, TenantName], tuple[_Subnet, tuple[Uplink, ...]]] = {}

    def configure(self, sections: Mapping[str, Mapping[str, object]]) -> tuple[SectionProblem, ...]:
        """Give each plugin its section, by the plugins' names; all sections apply, or none where something is
        wrong with one. Plugins whose section changed are started again."""
        plugins = self._registry.plugins
        problems = [
            SectionProblem((name,), f"there is no plugin {name}; kwhost plugin ls lists them")
            for name in sections
            if name not in plugins
        ]
        read: dict[str, object] = {}
        unconfigured: dict[str, SectionProblem] = {}
        for plugin in plugins.values():
            table = sections.get(plugin.name)
            if plugin.active and plugin.configuration_type is not None:
                read[plugin.name], found = read_section(plugin.name, plugin.configuration_type, table or {})
                if table is not None:
                    problems += found
                elif found:
                    unconfigured[plugin.name] = found[0]
            elif plugin.active and table:
                problems.append(SectionProblem((plugin.name,), "this plugin has nothing to configure"))
        if not problems:
            self._apply(read, unconfigured)
        return tuple(problems)

    def _apply(self, read: Mapping[str, object], unconfigured: Mapping[str, SectionProblem]) -> None:
        for name, problem in unconfigured.items():
            # That it is installed must not keep the daemon from starting.
            plugin = self._registry.plugins[name]
            where = ".".join(map(str, problem.keys))
            plugin.fail(f"needs a section [plugins.{name}]: {where}: {problem.text}")
            self._report_of(plugin, plugin.message)
            self._restart_service(name)
        for name, configuration in read.items():
            plugin = self._registry.plugins[name]
            if plugin.configuration != configuration:
                plugin.configuration = configuration
                self._restart_service(name)

    def engines(self) -> Mapping[str, EngineOffer]:
        """The engines that are offered, by name."""
        return cast("Mapping[str, EngineOffer]", self._registry.offers("engines"))

    def storages(self) -> Mapping[str, StorageOffer]:
        """The storages for volumes that are offered, by name; those of plugins are for worker threads."""

        def blame(plugin: Plugin, fault: PluginFault) -> None:
            trio.from_thread.run_sync(self._fault, plugin, "storages", fault)

        return guarded_storages(self._registry, blame)

    def networks(self) -> Mapping[str, NetworkOffer]:
        """The networks that are offered, by name."""
        return cast("Mapping[str, NetworkOffer]", self._registry.offers("networks"))

    def statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin, by name."""
        return tuple(plugin.status() for _, plugin in sorted(self._registry.plugins.items()))

    async def plan_image(self, request: ImageRequest) -> ImagePlan:
        """How the root of an instance is made; `request.reference` is all that the instance says of its
        image. Raises ImageError, and what the image's source raises of KwhostError."""
        owner = self._registry.owner("image_sources", source_of(self._registry, request.reference)[0])
        try:
            limiter = self._limiter(owner.name if owner else "")
            plan = await plan_image(self._registry, limiter, request)
        except PluginFault as fault:
            assert owner
            self._fault(owner, "image_sources", fault)
            raise ImageError(
                f"cannot use the image {request.reference}: the plugin {owner.name} failed: {fault}"
            ) from fault
        if owner:
            owner.count_success("image_sources")
        return plan

    async def network_uplinks(self, tenant: Tenant, subnet: _Subnet) -> tuple[Uplink, ...]:
        """Behind which interfaces the tenant's network goes on; to be called while `serve` runs.

        Of a plugin that fails it is what it answered before for that subnet.
        """
        for plugin in self._registry.implementers("network_uplinks"):
            arguments = {"tenant": tenant, "subnet": subnet, "host": self._hosts[plugin.name]}
            try:
                answer = await self._call(plugin, "network_uplinks", arguments)
            except PluginFault:
                continue  # it is counted and reported
            uplinks = cast("tuple[Uplink, ...]", answer)
            self._uplinks[plugin.name, tenant.name] = subnet, uplinks
        return tuple(
            uplink
            for (_, name), (known, uplinks) in sorted(self._uplinks.items(), key=lambda item: item[0])
            if name == tenant.name and known == subnet
            for uplink in uplinks
        )

    async def admit(self, tenant: Tenant, definition: InstanceDefinition) -> str | None:
        """Why the tenant may not have the instance; None: it may."""
        if unfit := self._registry.unfit("admit_instance"):
            return unfit
        for plugin in self._registry.implementers("admit_instance"):
            try:
                reason = await self._call(
                    plugin, "admit_instance", {"tenant": tenant, "definition": definition}
                )
            except PluginFault as fault:
                return f"the plugin {plugin.name}, which decides on admission, failed: {fault}"
            if reason is not None:
                return f"the plugin {plugin.name} refuses it: {reason}"
        return None

    def notify(self, event: Event) -> None:
        """Pass an event about an instance on. Never waits."""
        if event.instance is not None:
            for plugin in self._registry.implementers("instance_event"):
                self._queues[plugin.name].put(event)

    async def metrics(self) -> tuple[Metric, ...]:
        """What all plugins measure; a name belongs to the first that uses it."""
        found: dict[str, tuple[Metric, ...]] = {}

        async def ask(plugin: Plugin) -> None:
            try:
                answer = await self._call(plugin, "metrics", {"host": self._hosts[plugin.name]})
            except PluginFault:
                return
            found[plugin.name] = cast("tuple[Metric, ...]", answer)

        plugins = self._registry.implementers("metrics")
        async with trio.open_nursery() as nursery:
            for plugin in plugins:
                nursery.start_soon(ask, plugin)
        metrics: dict[str, Metric] = {}
        for plugin in plugins:
            for metric in found.get(plugin.name, ()):
                metrics.setdefault(metric.name, metric)
        return tuple(metrics.values())

    async def serve(
        self, view: HostView, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run what plugins run in the background, until cancelled. Nothing that a plugin does ends this."""
        active = [plugin for plugin in self._registry.plugins.values() if plugin.active]
        for plugin in active:
            self._hosts[plugin.name] = HostOfPlugin(plugin.name, view, self._log, self.metrics)
        started = []
        async with trio.open_nursery() as nursery:
            for plugin in self._registry.implementers("instance_event"):
                nursery.start_soon(self._deliver, plugin)
            nursery.start_soon(self.policies.deliver)
            for plugin in self._registry.implementers("serve"):
                service = Service(
                    plugin, partial(self._context, plugin), partial(self._fault, plugin, "serve")
                )
                self._services[plugin.name] = service
                started.append(trio.Event())
                nursery.start_soon(service.run, started[-1])
            with trio.move_on_after(DEADLINE_SECONDS):
                for event in started:
                    await event.wait()
            task_status.started()
            await trio.sleep_forever()

    async def _deliver(self, plugin: Plugin) -> None:
        while plugin.active:
            event = await self._queues[plugin.name].get()
            try:
                await self._call(plugin, "instance_event", {"event": event, "host": self._hosts[plugin.name]})
            except PluginFault:
                continue  # it is counted and reported; the next event is another try

    def _report_of(self, plugin: Plugin, text: str) -> None:
        self.report(f"plugin {plugin.name}: {text}")

    def _fault(self, plugin: Plugin, hook: str, fault: PluginFault) -> None:
        self.report(plugin.count_fault(hook, str(fault)))
        if not plugin.active:
            self._restart_service(plugin.name)

    def _restart_service(self, name: str) -> None:
        """With the configuration of now; of a plugin that is not active it only ends."""
        if service := self._services.get(name):
            service.restart()

    def _limiter(self, plugin: str, hook: str = "") -> trio.CapacityLimiter:
        """Answers may take long, and must not keep the plugin from anything else."""
        if hook == "answer_question":
            return self._limiters.setdefault(f"{plugin} {hook}", trio.CapacityLimiter(ANSWERS_MAX))
        return self._limiters.setdefault(plugin, trio.CapacityLimiter(THREADS_MAX))

    def _context(self, plugin: Plugin) -> dict[str, object]:
        return {"host": self._hosts[plugin.name], "configuration": plugin.configuration}

    async def _call(
        self,
        plugin: Plugin,
        hook: str,
        arguments: Mapping[str, object],
        seconds: float | None = None,
    ) -> object:
        """Call one hook. Raises PluginFault, after it was counted and reported."""
        arguments = {"configuration": plugin.configuration, **arguments}
        try:
            limiter = self._limiter(plugin.name, hook)
            answer = await call_hook(plugin, hook, arguments, limiter, seconds)
        except PluginFault as fault:
            self._fault(plugin, hook, fault)
            raise
        plugin.count_success(hook)
        return answer
