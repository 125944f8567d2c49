"""From a request to its answer: route, permission, body, handler, error, audit."""

from collections.abc import Callable

import trio

from kwhost.core.api.auth import Caller, check_access, visible_tenants
from kwhost.core.api.bodies import decode_body, decode_query
from kwhost.core.api.calls import AuditEntry, Call, Handler, WriteAudit
from kwhost.core.api.failures import Failure, Refusal, describe, error_body, first_cause
from kwhost.core.api.feeds import FEEDS, send_failure
from kwhost.core.api.handlers import HANDLERS
from kwhost.core.api.http import HttpConnection, Request
from kwhost.core.api.image_handlers import IMAGE_HANDLERS
from kwhost.core.api.policy_handlers import POLICY_HANDLERS
from kwhost.core.api.routes import Access, Form, Match, find_route
from kwhost.core.api.sessions import SESSIONS
from kwhost.core.api.volume_handlers import VOLUME_HANDLERS
from kwhost.core.errors import KwhostError, NotFound, UsageError
from kwhost.core.supervise.hosting import Hosting

__all__ = ["ALL_HANDLERS", "Dispatcher"]

ALL_HANDLERS: dict[str, Handler] = {
    **HANDLERS,
    **POLICY_HANDLERS,
    **IMAGE_HANDLERS,
    **VOLUME_HANDLERS,
    **FEEDS,
    **SESSIONS,
}
_METHOD = Failure("method", 405)


class Dispatcher:
    """Answers requests. `write_audit` keeps a record of each that changes something; `report` takes errors
    that are kwhost's own fault."""

    def __init__(
        self, hosting: Hosting, write_audit: WriteAudit, report: Callable[[Exception], None]
    ) -> None:
        self._hosting = hosting
        self._write_audit = write_audit
        self.report = report

    async def serve(self, connection: HttpConnection, caller: Caller, request: Request) -> None:
        """Answer one request, errors included. Raises BrokenResourceError where the client has gone."""
        match = find_route(request.method, request.path)
        call: Call | None = None
        try:
            call = self._call(connection, caller, request, match)
            result = await self._handle(call)
            if call.route.form is Form.JSON:
                await connection.answer(call.route.status, result)
        except trio.BrokenResourceError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: every failure becomes an answer
            await self._fail(connection, call, first_cause(error))

    def _call(self, connection: HttpConnection, caller: Caller, request: Request, match: Match) -> Call:
        """What is asked for; who is nobody here is not told whether there is such a thing."""
        visible = visible_tenants(caller, self._hosting.configured_tenants())
        access = match.route.access if match.route else Access.USER
        if visible == frozenset():
            check_access(access, caller, visible)
        if match.route is None:
            raise _unknown(request, match)
        return Call(
            hosting=self._hosting,
            connection=connection,
            caller=caller,
            request=request,
            route=match.route,
            arguments=match.arguments,
            audit=AuditEntry(self._write_audit, caller, match.route),
        )

    async def _handle(self, call: Call) -> object:
        """Check the request, and do what it asks for; however it ends is in the audit."""
        try:
            check_access(call.route.access, call.caller, call.visible())
            await _read(call)
            result = await _run(call)
        except BaseException as error:
            await self._close_audit(call, first_cause(error))
            raise
        await self._close_audit(call, None)
        return result

    async def _close_audit(self, call: Call, error: BaseException | None) -> None:
        try:
            await call.audit.close(error)
        except Exception as failure:  # noqa: BLE001 - what was asked for has happened: the answer says so
            self.report(failure)

    async def _fail(self, connection: HttpConnection, call: Call | None, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise error
        if not isinstance(error, KwhostError | Refusal):
            self.report(error)
        if not connection.answer_started:
            headers = error.headers if isinstance(error, Refusal) else None
            await connection.answer(describe(error).status, error_body(error), headers)
        elif call and call.route.form is Form.EVENTS:
            await send_failure(call, error)
        # Of an archive the missing end tells; a session has told by itself.


async def _read(call: Call) -> None:
    """Take query and body, as the route wants them."""
    route = call.route
    call.query = decode_query(call.request.query, route.query)
    if route.body is Form.JSON:
        data = await call.connection.body()
        if route.request is not None:
            call.body = decode_body(data, route.request)
        elif data.strip() not in (b"", b"{}"):
            raise UsageError(f"{route.method} {route.path} takes no body")


async def _run(call: Call) -> object:
    if call.request.method == "HEAD" and call.route.form is not Form.JSON:
        await call.connection.begin(call.route.form.value)
        await call.connection.end()
        return None
    handler = ALL_HANDLERS[call.route.name]
    if call.route.form is Form.FRAMES or call.route.body is Form.ARCHIVE:
        return await handler(call)  # these read from the connection themselves
    return await call.connection.unless_hangup(lambda: handler(call))


def _unknown(request: Request, match: Match) -> Exception:
    if match.allowed:
        allowed = ", ".join(match.allowed)
        text = f"{request.path} cannot be asked with {request.method}; with {allowed} it can"
        return Refusal(_METHOD, text, {"allow": allowed})
    return NotFound(f"there is no {request.path[:200]} in this API; /v1/openapi.json lists everything")
