"""Streams of server-sent events: logs, the journal, statistics.

Nothing is kept for a client that reads slowly: each stream reads on, from a file or the journal, only once
the client took what was sent before. What is gone by then is told by an event `left-out`.
"""

from collections.abc import Container, Iterable

import trio

from kwhost.core.api.bodies import encode_body
from kwhost.core.api.calls import Call, Handler
from kwhost.core.api.failures import error_body
from kwhost.core.api.line_cap import LineCap
from kwhost.core.api.routes import Form
from kwhost.core.api.types import InstanceUse, LeftOut, LogEntry, use_of
from kwhost.core.errors import UsageError
from kwhost.core.model.events import EventPage
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.status import InstanceState
from kwhost.core.store.logs import LogPosition, LogQuery, LogReader, PlacedLine

__all__ = ["FEEDS", "send_failure"]

_PAGE = 500
_STATS_SECONDS = 1.0
_IN_USE = (InstanceState.STARTING, InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPING)


def _encode(name: str, data: object, id: object = None) -> bytes:  # noqa: A002 - the field's name
    number = b"" if id is None else f"id: {id}\n".encode()
    return b"event: " + name.encode() + b"\n" + number + b"data: " + encode_body(data) + b"\n\n"


async def _send(call: Call, pieces: Iterable[bytes]) -> None:
    if data := b"".join(pieces):
        await call.connection.piece(data)


async def send_failure(call: Call, error: Exception) -> None:
    """Tell a client of an error after the stream has begun."""
    await call.connection.piece(_encode("error", error_body(error)))
    await call.connection.end()


def _left_out(count: int | None) -> list[bytes]:
    return [] if count is not None and count <= 0 else [_encode("left-out", LeftOut(count=count))]


def _entry(placed: PlacedLine) -> bytes:
    position, line = placed
    entry = LogEntry(time=line.time_ns / 1e9, stream=line.stream, text=line.text, partial=line.partial)
    return _encode("line", entry, position)


async def _logs(call: Call) -> None:
    status = call.instance()
    follow = call.query.get("follow", False)
    after = call.query.get("after")
    query = LogQuery(
        tail=call.query.get("tail"),
        since=call.query.get("since"),
        after=None if after is None else LogPosition.parse(after),
    )
    rate = call.query.get("rate")
    if rate is not None and rate < 1:
        raise UsageError("rate is how many lines a second are sent at most: 1 or more")
    cap = LineCap(rate, trio.current_time)
    directory = call.hosting.log_directory(status.id)
    reader = await trio.to_thread.run_sync(lambda: LogReader(directory, query, follow=follow))
    try:
        await call.connection.begin(Form.EVENTS.value)
        await _send(call, _left_out(None if reader.lost else 0))
        mark = await call.hosting.wait_log(status.id, 0) if follow else None
        while True:
            await _send_lines(call, reader, cap)
            if mark is None:
                break
            mark = await _wait_log(call, status.id, mark, cap)
        await _send(call, _left_out(cap.take_left_out()))
    finally:
        reader.close()
    await call.connection.end()


async def _send_lines(call: Call, reader: LogReader, cap: LineCap) -> None:
    """Everything up to the end of the log that the cap lets through, a block at a time."""
    skipped = reader.skipped
    while lines := await trio.to_thread.run_sync(reader.read_placed):
        before = _left_out(cap.take_left_out()) if cap.is_due() else []
        granted = lines[: cap.grant(len(lines))]
        await _send(call, [*before, *map(_entry, granted), *_left_out(reader.skipped - skipped)])
        skipped = reader.skipped


async def _wait_log(call: Call, instance: InstanceId, mark: int, cap: LineCap) -> int | None:
    """Wait until there is more; what was left out is told once its second is over."""
    if cap.left_out:
        with trio.move_on_at(cap.until):
            return await call.hosting.wait_log(instance, mark)
        await _send(call, _left_out(cap.take_left_out()))
    return await call.hosting.wait_log(instance, mark)


def _gone(page: EventPage, after: int) -> int:
    """How many events after `after` the journal has no more; numbers only jump where some were dropped."""
    return page.events[0].seq - after - 1 if after and page.events else 0


async def _first_event(call: Call, tenants: Container[TenantName] | None, instance: InstanceId | None) -> int:
    """The sequence number after which a stream of the journal begins."""
    after, tail = call.query.get("after"), call.query.get("tail")
    if tail is not None:
        if after is not None or tail < 0:
            raise UsageError("tail is how many of the newest entries are wanted, and goes without after")
        return await call.hosting.newest_events(tail, tenants, instance)
    if after is not None:
        return int(after)
    return call.hosting.last_event() if call.query.get("follow") else 0


async def _events(call: Call) -> None:
    follow = call.query.get("follow", False)
    # What the caller does not know is an error before the stream begins.
    instance, tenants = call.filtered(), call.selected()
    after = await _first_event(call, tenants, instance)
    await call.connection.begin(Form.EVENTS.value)
    while True:
        tenants = call.selected()
        page = await call.hosting.events(after, tenants, _PAGE, instance)
        # Others' events leave gaps too, so only who sees all can count.
        gone = _gone(page, after) if tenants is None and instance is None else 0
        await _send(call, [*_left_out(gone), *(_encode("event", event, event.seq) for event in page.events)])
        if page.last > after:
            after = page.last
        elif follow:
            await call.hosting.wait_event(after)
        else:
            break
    await call.connection.end()


async def _sample(call: Call) -> tuple[InstanceUse, ...]:
    await call.hosting.count_traffic()
    tenants = call.selected()
    return tuple(
        use_of(status, call.hosting.usage(status.id))
        for status in call.hosting.instances()
        if status.state in _IN_USE and (tenants is None or status.tenant in tenants)
    )


async def _stats(call: Call) -> None:
    sample = await _sample(call)
    await call.connection.begin(Form.EVENTS.value)
    while True:
        due = trio.current_time() + _STATS_SECONDS
        await _send(call, [_encode("stats", sample)])
        if not call.query.get("follow"):
            break
        late = trio.current_time() - due
        await _send(call, _left_out(int(late / _STATS_SECONDS)))
        await trio.sleep_until(max(due, trio.current_time()))
        sample = await _sample(call)
    await call.connection.end()


FEEDS: dict[str, Handler] = {"logs": _logs, "events": _events, "stats": _stats}
