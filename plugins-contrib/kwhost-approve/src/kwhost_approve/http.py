"""One POST over a connection of its own: no redirects, no proxies, nothing kept, everything bounded."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import h11
import trio

from kwhost_approve.messages import ANSWER_MAX, WebhookError

__all__ = ["Place", "Unreachable", "place_of", "post"]

_HEAD_MAX = 16 * 1024
_READ = 16 * 1024
_PORTS = {"http": 80, "https": 443}


class Unreachable(Exception):  # noqa: N818 - it states a fact
    """There is no connection, so that nothing was asked; the text says why."""


class Place(NamedTuple):
    """Where the webhook is: `authority` as the header Host has it, `target` the path with the query."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str


def place_of(url: str) -> Place:
    """The place of a URL that the configuration has found to be one."""
    parts = urlsplit(url)
    assert parts.hostname
    return Place(
        secure=parts.scheme == "https",
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        authority=parts.netloc,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


@asynccontextmanager
async def _connected(place: Place, trust: ssl.SSLContext) -> AsyncIterator[trio.abc.Stream]:
    """A connection to the place, whose certificate is checked. Raises Unreachable."""
    try:
        stream: trio.abc.Stream = await trio.open_tcp_stream(place.host, place.port)
    except OSError as error:
        raise Unreachable(str(error)) from error
    try:
        if place.secure:
            stream = secure = trio.SSLStream(stream, trust, server_hostname=place.host, https_compatible=True)
            try:
                await secure.do_handshake()
            except trio.BrokenResourceError as error:
                raise Unreachable(str(error.__cause__ or "the connection broke")) from error
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def post(place: Place, trust: ssl.SSLContext, headers: Mapping[str, str], body: bytes) -> bytes:
    """The body of a proper JSON answer. Raises Unreachable, WebhookError."""
    always = {"Host": place.authority, "Content-Length": str(len(body)), "Connection": "close"}
    request = h11.Request(method="POST", target=place.target, headers=list({**always, **headers}.items()))
    async with _connected(place, trust) as stream:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
        parts = [http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        try:
            await stream.send_all(b"".join(part for part in parts if part))
            await _receive_head(http, stream)
            return await _receive_body(http, stream)
        except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
            raise WebhookError(f"its answer ends or makes no sense: {error}") from error


async def _next_event(http: h11.Connection, stream: trio.abc.Stream) -> h11.Event:
    while True:
        event = http.next_event()
        if event is not h11.NEED_DATA:
            assert isinstance(event, h11.Event)
            return event
        http.receive_data(bytes(await stream.receive_some(_READ)))


async def _receive_head(http: h11.Connection, stream: trio.abc.Stream) -> None:
    """Status and headers are as they should be. Raises WebhookError."""
    while isinstance(event := await _next_event(http, stream), h11.InformationalResponse):
        pass
    if not isinstance(event, h11.Response):
        raise WebhookError("it hangs up without an answer")
    if event.status_code != 200:
        raise WebhookError(f"it answers with status {event.status_code}")
    headers = {name: value.decode("latin-1").strip().lower() for name, value in event.headers}
    kind = headers.get(b"content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise WebhookError(f"its answer is {kind[:80] or 'of no type'!r}, not application/json")
    if headers.get(b"content-encoding", "identity") != "identity":
        raise WebhookError("its answer is compressed, which was not asked for")


async def _receive_body(http: h11.Connection, stream: trio.abc.Stream) -> bytes:
    """Raises WebhookError where it is too long."""
    data = bytearray()
    while isinstance(event := await _next_event(http, stream), h11.Data):
        data += event.data
        if len(data) > ANSWER_MAX:
            raise WebhookError(f"its answer has more than {ANSWER_MAX} bytes")
    if not isinstance(event, h11.EndOfMessage):
        raise WebhookError("it hangs up within its answer")
    return bytes(data)
