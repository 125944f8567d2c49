"""A webhook of the tests' own: a real HTTP server that answers as it is told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwhost.testing import LoadedPlugin

__all__ = ["Reaction", "Received", "Webhook", "answer", "json_answer", "serve_webhook"]


SECRET = "0123456789abcdef0123456789abcdef"

# Loads the plugin for the fixture `webhook`; keys change its configuration.
Load = Callable[..., "LoadedPlugin"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def question(self) -> Any:
        return json.loads(self.body)


# Writes an answer, or whatever else happens to a connection.
Reaction = Callable[[BaseHTTPRequestHandler], None]


def answer(data: bytes, *, status: int = 200, kind: str = "application/json", **headers: str) -> Reaction:
    def react(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return react


def json_answer(**fields: object) -> Reaction:
    return answer(json.dumps(fields).encode())


@dataclass(slots=True)
class Webhook:
    """`react` is what it does with each request, `received` those it got."""

    port: int = 0
    scheme: str = "http"
    react: Reaction = field(default_factory=lambda: json_answer(allow=True))
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"


@contextmanager
def serve_webhook(trust: ssl.SSLContext | None = None) -> Iterator[Webhook]:
    """One that listens on this host, with TLS where there is a certificate."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.received.append(Received(self.path, dict(self.headers.items()), body))
            with suppress(OSError):  # the plugin may go away
                webhook.react(self)

        def do_GET(self) -> None:
            webhook.received.append(Received(self.path, dict(self.headers.items()), b""))
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that does not trust the certificate

    server = Server(("127.0.0.1", 0), Handler)
    if trust:
        server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        webhook.scheme = "https"
    webhook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
