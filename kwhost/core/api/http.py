"""One HTTP/1.1 connection on trio: requests within bounds and deadlines, answers, event streams."""

import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

import h11
import trio

from kwhost.core.api.bodies import encode_body
from kwhost.core.api.failures import Failure, Refusal

__all__ = [
    "BODY_MAX",
    "HANGUP_LOOK_SECONDS",
    "HEADER_MAX",
    "Deadlines",
    "HttpConnection",
    "Request",
    "hung_up",
    "wait_hangup",
]

_Result = TypeVar("_Result")

HEADER_MAX = 32 * 1024
BODY_MAX = 1024 * 1024

_PIECE = 64 * 1024
HANGUP_LOOK_SECONDS = 1.0
_LINGER_SECONDS = 1.0
_JSON = "application/json"

_TIMEOUT = Failure("timeout", 408)
_TOO_LARGE = Failure("too-large", 413)


class Deadlines(NamedTuple):
    """Seconds that a client has: for its header, for its body (or, of an archive, for each piece), until its
    next request, and to take an answer."""

    header: float = 10.0
    body: float = 10.0
    idle: float = 60.0
    answer: float = 10.0


class Request(NamedTuple):
    """A request's first line and headers; `path` and `query` still percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def _parse_request(event: h11.Request) -> Request:
    if event.http_version not in (b"1.0", b"1.1"):
        raise Refusal(Failure("malformed", 505), "the request must be HTTP/1.1")
    # h11 bounds what is incomplete; what came all at once is measured here.
    if len(event.target) + sum(len(name) + len(value) for name, value in event.headers) > HEADER_MAX:
        raise Refusal(Failure("too-large", 431), f"the request's header has more than {HEADER_MAX} bytes")
    try:
        target = event.target.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refusal(Failure("malformed", 400), "the request's path is not ASCII") from error
    if not target.startswith("/"):
        raise Refusal(Failure("malformed", 400), "the request's path must begin with /")
    path, _, query = target.partition("?")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("ascii"), path, query, headers)


def hung_up(socket: trio.socket.SocketType) -> bool:
    """Whether the other end is closed, and not only for what it sends."""
    poll = select.poll()
    poll.register(socket, 0)
    return bool(poll.poll(0))


async def wait_hangup(socket: trio.socket.SocketType) -> None:
    """Return once the other end is closed. Nothing may read from the socket meanwhile."""
    while True:
        await trio.lowlevel.wait_readable(socket)
        if hung_up(socket):
            return
        # The next request, or the end of what the client sends: the one in work is not over by that.
        await trio.sleep(HANGUP_LOOK_SECONDS)


async def _cancel_at_hangup(socket: trio.socket.SocketType, scope: trio.CancelScope) -> None:
    await wait_hangup(socket)
    scope.cancel()


class HttpConnection:
    """Reads requests one after another and answers each; a client's mistake in HTTP raises Refusal.

    A client that has gone shows as trio.BrokenResourceError.
    """

    def __init__(self, stream: trio.SocketStream, deadlines: Deadlines) -> None:
        self._stream = stream
        self._deadlines = deadlines
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_MAX)
        self._first = True
        self._head = False
        self.upgraded = False

    @property
    def answer_started(self) -> bool:
        """Whether the answer's status has gone out."""
        return self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    async def next_request(self) -> Request | None:
        """The next request; None once the client has gone, or was idle for too long."""
        patience = self._deadlines.header if self._first else self._deadlines.idle
        self._first = False
        event = self._parse()
        if event is h11.NEED_DATA:
            with trio.move_on_after(patience) as idle:
                more = await self._receive()
            if idle.cancelled_caught or not more:
                return None
        with trio.move_on_after(self._deadlines.header) as slow:
            while (event := self._parse() if event is h11.NEED_DATA else event) is h11.NEED_DATA:
                await self._receive()
        if slow.cancelled_caught:
            raise Refusal(_TIMEOUT, f"the request's header took longer than {self._deadlines.header:g} s")
        if not isinstance(event, h11.Request):
            return None
        self._head = event.method == b"HEAD"
        return _parse_request(event)

    async def body(self) -> bytes:
        """The request's body, at most BODY_MAX bytes."""
        data = bytearray()
        with trio.move_on_after(self._deadlines.body) as slow:
            async for piece in self.body_pieces(limit=BODY_MAX):
                data += piece
        if slow.cancelled_caught:
            raise Refusal(_TIMEOUT, f"the request's body took longer than {self._deadlines.body:g} s")
        return bytes(data)

    async def body_pieces(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """The request's body as it comes; each piece within the deadline."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        received = 0
        while True:
            event = self._parse()
            if event is h11.NEED_DATA:
                with trio.move_on_after(self._deadlines.body) as slow:
                    await self._receive()
                if slow.cancelled_caught:
                    raise Refusal(_TIMEOUT, "the request's body did not go on")
            elif isinstance(event, h11.Data):
                received += len(event.data)
                if limit is not None and received > limit:
                    raise Refusal(_TOO_LARGE, f"the request's body is larger than {limit} bytes")
                yield bytes(event.data)
            else:
                return

    async def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer, JSON."""
        data = encode_body(body) + b"\n"
        self._pass_rest()
        extra = [*(headers or {}).items(), ("content-type", _JSON), ("content-length", str(len(data)))]
        if self._http.their_state is h11.SEND_BODY:
            extra.append(("connection", "close"))
        # What was done is told also where the daemon is about to end, as it does after `shutdown`.
        with trio.move_on_after(self._deadlines.answer, shield=True) as slow:
            await self._send(h11.Response(status_code=status, headers=extra))
            await self.piece(data)
            await self.end()
        if slow.cancelled_caught:
            raise trio.BrokenResourceError("the client does not take its answer")

    async def begin(self, content_type: str) -> None:
        """Begin an answer that comes in pieces."""
        headers = [("content-type", content_type), ("cache-control", "no-store")]
        await self._send(h11.Response(status_code=200, headers=headers))

    async def piece(self, data: bytes) -> None:
        """One piece of it; waits for a client that reads slowly. For HEAD there are none."""
        if not self._head:
            await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """The end of such an answer."""
        await self._send(h11.EndOfMessage())

    async def upgrade(self, protocol: str) -> bytes:
        """Leave HTTP; returns what the client has sent already. From now on `stream` is the caller's."""
        headers = [("connection", "Upgrade"), ("upgrade", protocol)]
        await self._send(h11.InformationalResponse(status_code=101, headers=headers))
        self.upgraded = True
        return bytes(self._http.trailing_data[0])

    @property
    def stream(self) -> trio.SocketStream:
        """What is beneath."""
        return self._stream

    def reuse(self) -> bool:
        """Whether another request may follow on this connection; if so, be ready for it."""
        if self.upgraded or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def unless_hangup(self, operation: Callable[[], Awaitable[_Result]]) -> _Result:
        """Do something that the client waits for; cancel it, and raise BrokenResourceError, once the client
        has gone. Nothing may read from the connection meanwhile."""
        results: list[_Result] = []
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_hangup, self._stream.socket, nursery.cancel_scope)
            try:
                results.append(await operation())
            except Exception as error:  # noqa: BLE001 - raised again, outside of the nursery's group
                failures.append(error)
            nursery.cancel_scope.cancel()
        if failures:
            raise failures[0]
        if not results:
            raise trio.BrokenResourceError("the client has gone")
        return results[0]

    async def linger(self) -> None:
        """Before closing: take what the client may still be sending, so that it gets to see its answer."""
        with trio.move_on_after(_LINGER_SECONDS):
            await self._stream.send_eof()
            while await self._stream.receive_some(_PIECE):
                pass

    def _pass_rest(self) -> None:
        """Take the end of a request whose body nobody wanted, as far as it has come."""
        with suppress(Refusal):
            while self._http.their_state is h11.SEND_BODY and self._parse() is not h11.NEED_DATA:
                pass

    def _parse(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            kind = "too-large" if error.error_status_hint == 431 else "malformed"
            text = f"the request is no proper HTTP: {error}"
            raise Refusal(Failure(kind, error.error_status_hint), text) from error

    async def _receive(self) -> bool:
        """Whether anything came before the end."""
        data = await self._stream.receive_some(_PIECE)
        self._http.receive_data(data)
        return bool(data)

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            await self._stream.send_all(data)
