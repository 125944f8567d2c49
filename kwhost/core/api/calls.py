"""One request on its way to its handler: who asks, for what, and the entry in the audit about it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from kwhost.core.api.auth import Caller, visible_tenants
from kwhost.core.api.failures import error_text
from kwhost.core.api.http import HttpConnection, Request
from kwhost.core.api.routes import Route
from kwhost.core.errors import NotFound, UsageError
from kwhost.core.model.events import AuditRecord
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.status import InstanceStatus
from kwhost.core.supervise.hosting import Hosting

__all__ = ["AuditEntry", "Call", "Handler", "WriteAudit"]

WriteAudit = Callable[[AuditRecord], Awaitable[None]]

_TARGET_MAX = 200


class AuditEntry:
    """What the audit will say about a request; written once, when it is known how the request ends."""

    def __init__(self, write: WriteAudit, caller: Caller, route: Route) -> None:
        self._write = write
        self._caller = caller
        self._action = f"{route.method} {route.path}"
        self._target = ""
        self._instance: InstanceId | None = None
        self._wanted = route.changes

    def about(self, target: str, instance: InstanceId | None = None) -> None:
        """Name what the request is about; once an instance is known, it stays known."""
        self._target = target
        self._instance = instance or self._instance

    async def close(self, error: BaseException | None = None) -> None:
        """Write the entry, unless it is written or there is to be none."""
        if not self._wanted:
            return
        self._wanted = False
        with trio.CancelScope(shield=True):
            await self._write(
                AuditRecord(
                    time=time.time(),
                    uid=self._caller.uid,
                    user=self._caller.user,
                    action=self._action,
                    target=self._target[:_TARGET_MAX],
                    outcome=_outcome(error),
                    instance=self._instance,
                )
            )


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    if isinstance(error, trio.Cancelled | trio.BrokenResourceError):
        return "the client went away before the end"
    return error_text(error)


@dataclass(slots=True, kw_only=True)
class Call:
    """A request on its way: `query` and `body` are there, and as the route wants them, for its handler."""

    hosting: Hosting
    connection: HttpConnection
    caller: Caller
    request: Request
    route: Route
    arguments: Mapping[str, str]
    audit: AuditEntry
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None

    def visible(self) -> frozenset[TenantName] | None:
        """The tenants that the caller knows of, now; None: all."""
        return visible_tenants(self.caller, self.hosting.configured_tenants())

    def selected(self) -> frozenset[TenantName] | None:
        """Those of them that the request is about. Raises NotFound where it names another."""
        name = self.query.get("tenant")
        return self.visible() if name is None else frozenset([self.tenant(name)])

    def filtered(self) -> InstanceId | None:
        """The instance that the parameter `instance` names; None: it is not there. Raises as `instance`."""
        reference = self.query.get("instance")
        return None if reference is None else self.hosting.find(reference, self.selected()).id

    def tenant(self, name: str) -> TenantName:
        """A tenant that the caller knows of. Raises NotFound."""
        tenants = self.hosting.configured_tenants()
        visible = self.visible()
        known = TenantName(name)
        if known not in tenants or (visible is not None and known not in visible):
            raise NotFound(f"there is no tenant {name}")
        return known

    def only_tenant(self) -> TenantName | None:
        """Whose things the request is about: the tenant that it names, or the caller's only one; None: an
        operator names none. Raises NotFound, UsageError."""
        if (name := self.query.get("tenant")) is not None:
            return self.tenant(name)
        visible = self.visible()
        if visible is not None and len(visible) != 1:
            raise UsageError(f"say whose: tenant = one of {', '.join(sorted(visible))}")
        return next(iter(visible)) if visible else None

    def instance(self) -> InstanceStatus:
        """The instance that the request names. Raises NotFound, also for one that the caller may not see."""
        reference = self.arguments["ref"]
        self.audit.about(reference)
        status = self.hosting.find(reference, self.visible())
        self.audit.about(f"{status.tenant}/{status.name}", status.id)
        return status


Handler = Callable[[Call], Awaitable[object]]
