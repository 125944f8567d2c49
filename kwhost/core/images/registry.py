"""Asking a registry: the OCI distribution protocol, with tokens or names and passwords.

What a registry answers is hostile: headers and documents are bounded, redirects are few and never from
encrypted to plain, and credentials go to nobody but the registry and, encrypted, to whom it itself names for
tokens.
"""

import http.client
import json
import re
import ssl
import threading
import time
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from kwhost.core.errors import ImageError
from kwhost.core.images.credentials import Credentials
from kwhost.core.images.documents import DOCUMENT_MAX

__all__ = ["Registry"]

_SECONDS = 60.0
_REDIRECTS_MAX = 5
_PAUSES = (0.2, 0.4)  # seconds, each before another attempt
_TOKEN_MAX = 64 * 1024
_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_NO_ENCRYPTION = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")  # by OpenSSL's version
_REASONS = {401: "it wants credentials: kwhost image login, or --creds", 403: "it does not allow that",
            404: "it has no such image", 429: "it has had too many requests; try again later"}  # fmt: skip


class _Place(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    target: str

    @classmethod
    def of(cls, url: str) -> "_Place":
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ImageError(f"the registry leads to {url[:200]!a}, which is no place for an image")
        return cls(
            parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path or '/'}?{parts.query}".rstrip("?")
        )

    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.target}"


class Registry:
    """One repository of a registry. `plain`: without encryption, which the user must have asked for. Several
    threads may use it."""

    def __init__(
        self, registry: str, repository: str, credentials: Credentials | None, *, plain: bool = False
    ) -> None:
        self.name = registry
        self._repository = repository
        self._credentials = credentials
        self._scheme = "http" if plain else "https"
        self._authorization: str | None = None
        self._renewing = threading.Lock()

    def check_login(self) -> None:
        """Raise ImageError unless the registry accepts the credentials."""
        self._open("/v2/", {}).close()

    def document(self, reference: str, accept: str) -> bytes:
        """A manifest or index, by tag or digest. Raises ImageError."""
        response = self._open(f"/v2/{self._repository}/manifests/{reference}", {"Accept": accept})
        try:
            content = response.read(DOCUMENT_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(str(error)) from error
        finally:
            response.close()
        if len(content) > DOCUMENT_MAX:
            raise ImageError(f"the registry {self.name} has a manifest of more than {DOCUMENT_MAX} bytes")
        return content

    def blob(self, digest: str, start: int = 0) -> tuple[http.client.HTTPResponse, bool]:
        """A blob's content from `start` on, and whether the registry did begin there, rather than at the
        beginning; the caller closes it. Raises ImageError."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._open(f"/v2/{self._repository}/blobs/{digest}", headers)
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status == 206 and not (start and begins):
            response.close()
            raise self._failure("it sends another part of a layer than was asked for")
        return response, response.status == 206

    def _open(self, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        place = _Place(self._scheme, self.name, path)
        for _ in range(2):  # a token may have come to its end
            shown = self._authorization
            response = self._follow(place, headers)
            if response.status in (200, 206):
                return response
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            if response.status != 401 or not self._renew(shown, challenge):
                break
        reason = _REASONS.get(response.status, f"it answers with status {response.status}")
        raise self._failure(reason)

    def _failure(self, reason: str) -> ImageError:
        return ImageError(f"the registry {self.name} gives no {self._repository or 'answer'}: {reason[:300]}")

    def _follow(self, place: _Place, headers: dict[str, str]) -> http.client.HTTPResponse:
        for _ in range(_REDIRECTS_MAX):
            own = (place.scheme, place.host) == (self._scheme, self.name)
            secret = {"Authorization": self._authorization} if own and self._authorization else {}
            response = self._ask(place, {**headers, **secret})
            if response.status not in (301, 302, 303, 307, 308):
                if response.status == 401 and not own:
                    response.close()
                    raise self._failure(f"{place.host}, where it leads to, wants credentials")
                return response
            target = urljoin(place.url(), response.headers.get("Location", ""))
            response.close()
            following = _Place.of(target)
            if (place.scheme, following.scheme) == ("https", "http"):
                raise self._failure("it leads to a place without encryption")
            place = following
        raise self._failure("it leads from place to place")

    def _ask(self, place: _Place, headers: dict[str, str]) -> http.client.HTTPResponse:
        """An answer. Where a connection breaks off before it has begun another attempt is made."""
        try:
            for pause in _PAUSES:
                with suppress(ConnectionError):
                    return self._ask_once(place, headers)
                time.sleep(pause)
            return self._ask_once(place, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            plain = isinstance(error, ssl.SSLError) and error.reason in _NO_ENCRYPTION
            text = "it has no encryption: --plain-http, or insecure_registries in [host]" if plain else error
            raise self._failure(f"{place.host}: {text}") from error

    def _ask_once(self, place: _Place, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection
        if place.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(place.host, timeout=_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(place.host, timeout=_SECONDS)
        connection.request("GET", place.target, headers={"User-Agent": "kwhost", **headers})
        return connection.getresponse()

    def _renew(self, shown: str | None, challenge: str) -> bool:
        """Have something else to show than what was refused; False where there is nothing."""
        with self._renewing:
            if self._authorization == shown:  # no other thread was faster
                return self._answer(challenge) and self._authorization != shown
            return True

    def _answer(self, challenge: str) -> bool:
        """Get what the registry wants to see; False where there is nothing to show."""
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic" and self._credentials:
            self._authorization = f"Basic {self._credentials.basic()}"
            return True
        if kind != "bearer":
            return False
        fields = dict(_CHALLENGE.findall(challenge))
        place = _Place.of(fields.get("realm", ""))
        if place.scheme != "https" and (place.scheme, place.host) != (self._scheme, self.name):
            raise self._failure("it wants a token from a place without encryption")
        wanted = {key: fields[key] for key in ("service", "scope") if key in fields}
        joint = "&" if "?" in place.target else "?"
        basic = {"Authorization": f"Basic {self._credentials.basic()}"} if self._credentials else {}
        response = self._ask(place._replace(target=f"{place.target}{joint}{urlencode(wanted)}"), basic)
        with response:
            if response.status != 200:
                raise self._failure("its credentials are refused" if self._credentials else _REASONS[401])
            self._authorization = f"Bearer {self._token(response.read(_TOKEN_MAX))}"
        return True

    def _token(self, answer: bytes) -> str:
        try:
            fields = json.loads(answer)
            token = fields.get("token") or fields["access_token"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._failure("what it gives for a token is none") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._failure("what it gives for a token is none")
        return token
