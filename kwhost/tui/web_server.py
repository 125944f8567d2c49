"""Serves the terminal interface to one browser on this machine, with textual-serve.

Whoever reaches a port of the loopback address is not its operator: other users of the host do, and pages of
other sites make browsers do it. So every request is checked here before anything of textual-serve sees it:

- Host must be the address that was printed, or a name of somebody else's would lead a browser here;
- Origin, where a browser sends it, must be that address too, and a websocket must have it;
- the address that was printed has a token that works once, and is answered with a cookie that all other
  requests need. Browsers send cookies to every port of an address, so this one is for a path that nobody can
  guess.
"""

import asyncio
import secrets
import socket
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from aiohttp import web
from textual_serve.server import Server

from kwhost.tui import web_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["WebServer"]

_ADDRESS = "127.0.0.1"
_COOKIE = "kwhost"
# Each is a process of its own.
_PAGES_MAX = 8
# For browsers to answer that a page ends.
_LEAVE_SECONDS = 2.0

_HEADERS = {
    "Content-Security-Policy": web_page.POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class WebServer(Server):
    """Runs `command`, a shell's line, for each page that is open; listens on `port`, or on any one (0)."""

    def __init__(self, command: str, port: int) -> None:
        self._socket = socket.create_server((_ADDRESS, port))
        port = self._socket.getsockname()[1]
        self._host = f"{_ADDRESS}:{port}"
        super().__init__(command, host=_ADDRESS, port=port, title="kwhost", public_url=f"http://{self._host}")
        self._path = f"/{secrets.token_hex(8)}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._secret = secrets.token_urlsafe(32)
        self._pages: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """What is to be opened, once."""
        return f"{self.public_url}{self._path}/?token={self._token}"

    async def start(self) -> None:
        """Listen until `stop`."""
        served = await self._make_app()
        served.on_startup.clear()  # what it says there is said by the command
        outside = web.Application(middlewares=[self._guard])
        outside.on_response_prepare.append(self._add_headers)
        outside.add_subapp(self._path, served)
        self._runner = web.AppRunner(outside, access_log=None, shutdown_timeout=_LEAVE_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self) -> None:
        """End all pages, and with them their processes."""
        for page in self._pages:
            page.cancel()
        if self._pages:
            await asyncio.wait(self._pages, timeout=_LEAVE_SECONDS)
        if self._runner:
            await self._runner.cleanup()

    async def handle_index(self, _request: web.Request) -> web.Response:
        """The page, in the place of textual-serve's."""
        static, websocket = f"{self._path}/static/", f"ws://{self._host}{self._path}/ws"
        return web.Response(text=web_page.page(static, websocket), content_type="text/html")

    async def _add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers[name] = value.replace("{websocket}", f"ws://{self._host}")

    @web.middleware
    async def _guard(self, request: web.Request, handler: "Handler") -> web.StreamResponse:
        is_websocket = request.path == f"{self._path}/ws"
        if request.headers.getall("Host", []) != [self._host]:
            raise web.HTTPForbidden(text="Open the address as it was printed.")
        origins = request.headers.getall("Origin", [])
        if origins != [self.public_url] and (origins or is_websocket):
            raise web.HTTPForbidden(text="This is not for pages of other sites.")
        if "token" in request.query:
            return self._redeem(request.query["token"])
        if not _same(request.cookies.get(_COOKIE, ""), self._secret):
            raise web.HTTPForbidden(text="Open the address that kwhost tui --web printed.")
        if not is_websocket:
            return await handler(request)
        if len(self._pages) >= _PAGES_MAX:
            raise web.HTTPServiceUnavailable(text=f"{_PAGES_MAX} pages are open already.")
        page = asyncio.ensure_future(handler(request))
        self._pages.add(page)
        page.add_done_callback(self._pages.discard)
        return await page

    def _redeem(self, token: str) -> web.Response:
        """A cookie for the token, which is of no use any more."""
        if self._token is None or not _same(token, self._token):
            raise web.HTTPForbidden(text="This address was used already; start kwhost tui --web again.")
        self._token = None
        response = web.Response(status=303, headers={"Location": f"{self._path}/"})
        response.set_cookie(_COOKIE, self._secret, path=self._path, httponly=True, samesite="Strict")
        return response


def _same(given: str, wanted: str) -> bool:
    """Takes as long however much is right."""
    return compare_digest(given.encode(errors="replace"), wanted.encode())
