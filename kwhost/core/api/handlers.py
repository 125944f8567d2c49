"""What each route that answers with JSON does."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from kwhost import __version__
from kwhost.core.api.auth import check_binds
from kwhost.core.api.calls import Call, Handler
from kwhost.core.api.definitions import check_definition
from kwhost.core.api.openapi import describe_api
from kwhost.core.api.types import NewInstance, StatsAnswer, Version, stats_of
from kwhost.core.errors import NotFound, UsageError
from kwhost.core.model.connections import Connections
from kwhost.core.model.daemon import Changes, DaemonInfo, PluginStatus, ProcessEntry
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import AuditRecord
from kwhost.core.model.history import History
from kwhost.core.model.memory import InstanceMemory
from kwhost.core.model.ports import check_port, parse_port
from kwhost.core.model.secrets import Secret
from kwhost.core.model.status import InstanceState, InstanceStatus, TenantStatus
from kwhost.core.model.storage import InstanceStorage

if TYPE_CHECKING:
    from kwhost.core.model.network import PublishedPort

__all__ = ["HANDLERS"]

_ENDED = (InstanceState.EXITED, InstanceState.FAILED)
_SIGKILL = 9
_SIGNAL_MAX = 64
_AUDIT_ENTRIES = 1000
_AUDIT_ENTRIES_MAX = 10_000


async def _version(_call: Call) -> Version:
    return Version(version=__version__)


async def _openapi(_call: Call) -> dict[str, Any]:
    return describe_api()


async def _info(call: Call) -> DaemonInfo:
    info = call.hosting.info()
    visible = call.visible()
    if visible is None:
        return info
    own = [status for status in call.hosting.instances() if status.tenant in visible]
    running = sum(status.state is InstanceState.RUNNING for status in own)
    return replace(info, tenants=len(visible), instances=len(own), running=running)


async def _list(call: Call) -> tuple[InstanceStatus, ...]:
    tenants = call.selected()
    return tuple(
        status
        for status in call.hosting.instances()
        if (tenants is None or status.tenant in tenants)
        and (call.query.get("all") or status.state not in _ENDED)
    )


async def _create(call: Call) -> InstanceStatus:
    asked: NewInstance = call.body
    call.audit.about(f"{asked.tenant}/{asked.name}")
    definition = asked.definition()
    check_definition(definition)
    tenant = call.tenant(definition.tenant)
    if not call.caller.operator:
        binds = call.hosting.configured_tenants()[tenant].binds
        await trio.to_thread.run_sync(check_binds, definition, binds)
    status = await call.hosting.create(
        definition,
        start=call.query.get("start", False),
        confined=not call.caller.operator,
        secrets=asked.secret_contents,
    )
    call.audit.about(f"{definition.tenant}/{definition.name}", status.id)
    return status


async def _inspect(call: Call) -> InstanceStatus:
    return call.instance()


def _now(call: Call, before: InstanceStatus) -> InstanceStatus:
    """The status after an operation; what it was before, where the instance is gone by then."""
    try:
        return call.hosting.find(before.id, None)
    except NotFound:
        return before


async def _remove(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.remove(status.id, force=call.query.get("force", False))
    return status


async def _start(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.start(status.id)
    return _now(call, status)


async def _stop(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.stop(status.id, call.query.get("timeout"))
    return _now(call, status)


async def _kill(call: Call) -> InstanceStatus:
    status = call.instance()
    number = call.query.get("signal", _SIGKILL)
    if not 1 <= number <= _SIGNAL_MAX:
        raise UsageError(f"there is no signal {number}; they are 1 to {_SIGNAL_MAX}")
    await call.hosting.kill(status.id, number)
    return _now(call, status)


async def _pause(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.pause(status.id)
    return _now(call, status)


async def _resume(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.resume(status.id)
    return _now(call, status)


async def _restart(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.restart(status.id, call.query.get("timeout"))
    return _now(call, status)


async def _publish(call: Call) -> InstanceStatus:
    status = call.instance()
    port: PublishedPort = call.body
    check_port(port)
    call.audit.about(f"{status.tenant}/{status.name}: {port}")
    await call.hosting.publish(status.id, port, confined=not call.caller.operator)
    return _now(call, status)


async def _unpublish(call: Call) -> InstanceStatus:
    status = call.instance()
    port = parse_port(call.query["port"])
    call.audit.about(f"{status.tenant}/{status.name}: {port}")
    await call.hosting.unpublish(status.id, port)
    return _now(call, status)


async def _wait(call: Call) -> InstanceStatus:
    return await call.hosting.wait_end(call.instance().id)


async def _definition(call: Call) -> InstanceDefinition:
    definition = call.hosting.definition(call.instance().id)
    # Where the operator keeps them is nobody's business who may only ask for the instance.
    return replace(definition, secrets=tuple(Secret(name=each.name) for each in definition.secrets))


async def _stats(call: Call) -> StatsAnswer:
    status = call.instance()
    await call.hosting.count_traffic()
    return stats_of(status, call.hosting.usage(status.id), call.hosting.call_statistics(status.id))


async def _top(call: Call) -> tuple[ProcessEntry, ...]:
    return await call.hosting.processes(call.instance().id)


async def _connections(call: Call) -> Connections:
    return await call.hosting.connections(call.instance().id)


async def _memory(call: Call) -> InstanceMemory:
    return await call.hosting.memory(call.instance().id)


async def _storage(call: Call) -> InstanceStorage:
    return await call.hosting.storage(call.instance().id)


async def _history(call: Call) -> History:
    return call.hosting.history(call.instance().id)


async def _tenants(call: Call) -> tuple[TenantStatus, ...]:
    visible = call.visible()
    return tuple(status for status in call.hosting.tenants() if visible is None or status.name in visible)


async def _tenant(call: Call) -> TenantStatus:
    name = call.tenant(call.arguments["tenant"])
    return next(status for status in call.hosting.tenants() if status.name == name)


async def _audit(call: Call) -> tuple[AuditRecord, ...]:
    limit = min(call.query.get("limit", _AUDIT_ENTRIES), _AUDIT_ENTRIES_MAX)
    return await call.hosting.audit(limit, call.filtered())


async def _plugins(call: Call) -> tuple[PluginStatus, ...]:
    return call.hosting.plugins()


async def _reload(call: Call) -> Changes:
    return await call.hosting.reload()


async def _prune(call: Call) -> tuple[InstanceStatus, ...]:
    return await call.hosting.prune()


async def _shutdown(call: Call) -> Version:
    instances = call.query["instances"]
    if instances not in ("stop", "keep"):
        raise UsageError(f"instances={instances}: must be stop or keep")
    call.audit.about(f"instances={instances}")
    await call.hosting.shutdown(stop_instances=instances == "stop")
    return Version(version=__version__)


HANDLERS: dict[str, Handler] = {
    "version": _version,
    "openapi": _openapi,
    "info": _info,
    "list": _list,
    "create": _create,
    "inspect": _inspect,
    "remove": _remove,
    "start": _start,
    "stop": _stop,
    "kill": _kill,
    "pause": _pause,
    "resume": _resume,
    "restart": _restart,
    "publish": _publish,
    "unpublish": _unpublish,
    "wait": _wait,
    "definition": _definition,
    "instance-stats": _stats,
    "top": _top,
    "connections": _connections,
    "memory": _memory,
    "storage": _storage,
    "history": _history,
    "tenants": _tenants,
    "tenant": _tenant,
    "audit": _audit,
    "plugins": _plugins,
    "reload": _reload,
    "prune": _prune,
    "shutdown": _shutdown,
}
