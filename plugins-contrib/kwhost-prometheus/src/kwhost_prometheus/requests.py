"""What is answered to a request before its path matters: who asks, and how."""

import hmac
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Guard", "Refusal"]

Headers = Sequence[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """An answer that is no metrics."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


class Guard:
    """Judges requests. Without a token (a Unix socket, whose mode decides) only Origin, method and path."""

    def __init__(self, token: bytes | None = None, port: int | None = None) -> None:
        self._token = token
        # Of a browser that was led here by another name (DNS rebinding), the Host is that name.
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", "[::1]")}

    def judge(self, method: bytes, target: bytes, headers: Headers) -> Refusal | None:
        """Why the request is refused; None: it gets the metrics. Names of headers are in lower case."""
        if any(name == b"origin" for name, _ in headers):
            return Refusal(403, "not for web pages")
        if self._token is not None:
            hosts = [value.lower() for name, value in headers if name == b"host"]
            if len(hosts) != 1 or hosts[0] not in self._hosts:
                return Refusal(403, "unknown Host")
            if not self._authorized(headers):
                return Refusal(401, "a token is needed", (("WWW-Authenticate", "Bearer"),))
        if target.partition(b"?")[0] != b"/metrics":
            return Refusal(404, "there is /metrics alone")
        if method != b"GET":
            return Refusal(405, "GET alone", (("Allow", "GET"),))
        return None

    def _authorized(self, headers: Headers) -> bool:
        assert self._token is not None
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"
