"""Connections that carry more than JSON: a program's streams as frames both ways, and archives."""

from contextlib import aclosing
from functools import partial

import trio

from kwhost.core.api.calls import Call, Handler
from kwhost.core.api.definitions import check_command, check_environment
from kwhost.core.api.failures import Failure, Refusal
from kwhost.core.api.pump import Pump
from kwhost.core.api.routes import Form
from kwhost.core.api.stream import PROTOCOL
from kwhost.core.api.types import ExecBody
from kwhost.core.model.instance import TerminalSize
from kwhost.core.model.status import InstanceStatus
from kwhost.core.supervise.hosting import ExecRequest, Session

__all__ = ["SESSIONS"]


def _check_upgrade(call: Call) -> None:
    if call.request.headers.get("upgrade", "").lower() != PROTOCOL:
        raise Refusal(
            Failure("upgrade-required", 426),
            f"the request must ask for the connection's upgrade (Upgrade: {PROTOCOL})",
            {"upgrade": PROTOCOL, "connection": "upgrade"},
        )


def _exec_request(body: ExecBody) -> ExecRequest:
    check_command(body.command)
    check_environment(body.environment)
    size = body.terminal
    return ExecRequest(
        command=body.command,
        environment=body.environment,
        workdir=body.workdir,
        user=body.user,
        terminal=TerminalSize(rows=size.rows, columns=size.columns) if size else None,
        interactive=body.interactive,
    )


async def _converse(call: Call, session: Session) -> None:
    try:
        await call.audit.close()  # it may last for days
        received = await call.connection.upgrade(PROTOCOL)
        await Pump(call.connection.stream, session).run(received)
    finally:
        with trio.CancelScope(shield=True):
            await session.aclose()


async def _exec(call: Call) -> None:
    _check_upgrade(call)
    request = _exec_request(call.body)
    status = call.instance()
    execute = partial(call.hosting.execute, status.id, request)
    await _converse(call, await call.connection.unless_hangup(execute))


async def _attach(call: Call) -> None:
    _check_upgrade(call)
    status = call.instance()
    attach = partial(
        call.hosting.attach,
        status.id,
        stdin=call.query.get("stdin", False),
        start=call.query.get("start", False),
    )
    await _converse(call, await call.connection.unless_hangup(attach))


async def _archive_get(call: Call) -> None:
    status = call.instance()
    begun = False
    async with aclosing(call.hosting.archive_get(status.id, call.query["path"])) as pieces:
        async for piece in pieces:
            if not begun:
                await call.connection.begin(Form.ARCHIVE.value)
                begun = True
            await call.connection.piece(piece)
    if not begun:
        await call.connection.begin(Form.ARCHIVE.value)
    await call.connection.end()


async def _archive_put(call: Call) -> InstanceStatus:
    status = call.instance()
    await call.hosting.archive_put(status.id, call.query["path"], call.connection.body_pieces())
    return status


SESSIONS: dict[str, Handler] = {
    "exec": _exec,
    "attach": _attach,
    "archive-get": _archive_get,
    "archive-put": _archive_put,
}
