"""What plugins do about system call policies: layers, answers, and hearing of decisions."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol, cast

import trio

from kwhost.core.model.decisions import Answer, Decision, Question
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.status import InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.pluginmgr.delivery import EventQueue
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.core.pluginmgr.host import HostOfPlugin
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.core.pluginmgr.registry import Registry

__all__ = ["ANSWERS_MAX", "LayerAnswer", "PolicyPlugins"]

# Questions that one plugin is asked at the same time.
ANSWERS_MAX = 64


class LayerAnswer(NamedTuple):
    """A plugin's layer, as a policy file's table (None: it wants none), or what went wrong instead."""

    plugin: str
    table: Mapping[str, object] | None
    fault: str = ""


class _CallHook(Protocol):
    def __call__(
        self,
        plugin: Plugin,
        hook: str,
        arguments: Mapping[str, object],
        seconds: float | None = None,
        /,
    ) -> Awaitable[object]:
        """Call a plugin's hook. Raises PluginFault, once that is counted and reported."""


class PolicyPlugins:
    """A part of manager.Plugins."""

    def __init__(
        self,
        registry: Registry,
        call: _CallHook,
        hosts: Mapping[str, HostOfPlugin],
        report: Callable[[Plugin, str], None],
    ) -> None:
        self._registry = registry
        self._call = call
        self._hosts = hosts
        self._queues = {
            plugin.name: EventQueue[Decision](partial(report, plugin))
            for plugin in registry.implementers("policy_decision")
        }

    def unfit(self) -> str | None:
        """Why nothing can be started: a plugin that has a say in policies cannot be asked."""
        return self._registry.unfit("policy_layer")

    async def layers(
        self, tenant: Tenant, definition: InstanceDefinition, status: InstanceStatus
    ) -> tuple[LayerAnswer, ...]:
        """What each plugin wants of an instance, in the plugins' order."""
        arguments = {"tenant": tenant, "definition": definition, "status": status}
        answers = []
        for plugin in self._registry.implementers("policy_layer"):
            try:
                table = await self._call(plugin, "policy_layer", arguments)
            except PluginFault as fault:
                answers.append(LayerAnswer(plugin.name, None, str(fault)))
            else:
                answers.append(LayerAnswer(plugin.name, cast("Mapping[str, object] | None", table)))
        return tuple(answers)

    async def answer(self, question: Question, seconds: float) -> tuple[Answer, str] | None:
        """What plugins answer within so many seconds, and which of them: the first refusal, as soon as it is
        there, else an allowance. A plugin that fails refuses. None: all of them leave it to others."""
        given: list[tuple[Answer, str]] = []

        async def ask(plugin: Plugin, asking: trio.CancelScope) -> None:
            arguments = {"question": question, "host": self._hosts.get(plugin.name)}
            try:
                answer = await self._call(plugin, "answer_question", arguments, seconds)
            except PluginFault:
                answer = Answer(allow=False)
            if isinstance(answer, Answer):
                given.append((answer, plugin.name))
                if not answer.allow:
                    asking.cancel()

        async with trio.open_nursery() as nursery:
            for plugin in self._registry.implementers("answer_question"):
                nursery.start_soon(ask, plugin, nursery.cancel_scope)
        given.sort(key=lambda pair: pair[0].allow)
        return given[0] if given else None

    def tell(self, decision: Decision) -> None:
        """Pass a decision on. Never waits."""
        for plugin in self._registry.implementers("policy_decision"):
            self._queues[plugin.name].put(decision)

    async def deliver(self) -> None:
        """Have plugins told, until cancelled."""
        async with trio.open_nursery() as nursery:
            for plugin in self._registry.implementers("policy_decision"):
                nursery.start_soon(self._deliver, plugin)

    async def _deliver(self, plugin: Plugin) -> None:
        while plugin.active:
            decision = await self._queues[plugin.name].get()
            arguments = {"decision": decision, "host": self._hosts.get(plugin.name)}
            try:
                await self._call(plugin, "policy_decision", arguments)
            except PluginFault:
                continue  # it is counted and reported; the next decision is another try
