"""From what is there to what a configuration wants: in which order, and what waits for what."""

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

import trio

from kwhost.core.errors import KwhostError, LaunchError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.status import EndReason, Health, InstanceState
from kwhost.core.supervise.hosted import HostedInstance

__all__ = ["start_in_order", "stop_in_order"]

_Key = tuple[TenantName, InstanceName]


def _needs(definition: InstanceDefinition) -> list[_Key]:
    return [(definition.tenant, name) for name in definition.depends_on]


def is_ready(instance: HostedInstance) -> bool:
    """Others that depend on it may start: it runs and is healthy, or it was a job that went well."""
    if instance.record.state is InstanceState.RUNNING:
        return instance.health in (Health.NONE, Health.HEALTHY)
    record = instance.record
    return _is_over(instance) and record.reason is EndReason.EXITED and record.exit_code == 0


def _is_over(instance: HostedInstance) -> bool:
    """Nothing is to come of it by itself."""
    return instance.is_settled and instance.record.desired != "running"


async def _wait_ready(instance: HostedInstance, needed: HostedInstance) -> None:
    """Raises LaunchError where it will never be ready."""
    while not is_ready(needed):
        if _is_over(needed):
            raise LaunchError(
                f"{instance.record.name} depends on {needed.record.name}, which "
                + (
                    "is not started"
                    if needed.record.state is InstanceState.CREATED
                    else f"has {needed.record.state.value}"
                )
            )
        await needed.changed.wait()


async def start_in_order(instances: Sequence[HostedInstance], others: Iterable[HostedInstance]) -> None:
    """Start all of them, each as soon as what it depends on is ready, if it is to run then; returns when each
    has started or has failed, which its own state and the journal tell."""
    known = {(each.record.tenant, each.record.name): each for each in (*others, *instances)}

    async def start(instance: HostedInstance) -> None:
        try:
            for key in _needs(instance.definition):
                if needed := known.get(key):
                    await _wait_ready(instance, needed)
            if instance.record.desired == "running" and instance.is_settled:
                await instance.start()
        except KwhostError as error:
            await instance.refuse(str(error))

    async with trio.open_nursery() as nursery:
        for instance in instances:
            nursery.start_soon(start, instance)


async def stop_in_order(instances: Sequence[HostedInstance]) -> None:
    """Stop all of them, each once those that depend on it have ended."""
    stopped = {(each.record.tenant, each.record.name): trio.Event() for each in instances}
    users: dict[_Key, list[_Key]] = {}
    for instance in instances:
        for key in _needs(instance.definition):
            users.setdefault(key, []).append((instance.record.tenant, instance.record.name))
    try:
        TopologicalSorter(users).prepare()
    except CycleError:  # requests of the API can make one; then there is no order
        users = {}

    async def stop(instance: HostedInstance) -> None:
        key = (instance.record.tenant, instance.record.name)
        try:
            for user in users.get(key, ()):
                if user in stopped:
                    await stopped[user].wait()
            await instance.stop()
        finally:
            stopped[key].set()

    async with trio.open_nursery() as nursery:
        for instance in instances:
            nursery.start_soon(stop, instance)
