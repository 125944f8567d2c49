"""The users' side of the API, for programs that wait for their answers; nothing slow is loaded.

Answers are plain JSON values. An error that the daemon reports is raised as what it was there.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from kwhost.core.api.failures import revive
from kwhost.core.api.requests import ServerEvent, encode_query, instance_path
from kwhost.core.api.stream import CONTENT_MAX, PROTOCOL, Frame, FrameDecoder, FrameType, encode_frame
from kwhost.core.errors import ApiError, KwhostError

__all__ = ["Client", "ServerEvent", "Stream", "encode_query", "find_socket", "instance_path"]

_CONNECT_SECONDS = 10.0
_ANSWER_MAX = 256 * 1024 * 1024
_LINE_MAX = 16 * 1024 * 1024


def find_socket(host: str | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """Where the API is: `host` (of --host), KWHOST_HOST, or as configured. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    if named := host or environment.get("KWHOST_HOST"):
        return Path(named)
    from kwhost.core.config.host import load_host_config  # most likely needed, yet not by --host

    return load_host_config(environment).api


class _Connection(HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("kwhost")
        self._path = path

    def connect(self) -> None:
        """Connect, with a line that helps where nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_SECONDS)
        try:
            self.sock.connect(str(self._path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            text = f"no daemon runs on {self._path}; start one with kwhost up -d CONFIG"
            raise ApiError(text) from error
        except OSError as error:
            raise ApiError(f"cannot reach the daemon on {self._path}: {error.strerror or error}") from error
        self.sock.settimeout(None)


class Stream:
    """A program's streams, as frames. Nothing here waits: call `receive`, then select on this for reading,
    and for writing too while something is `pending`. Whoever sends without reading may wait forever."""

    def __init__(self, connection: _Connection, response: HTTPResponse, peer: str) -> None:
        self._connection = connection
        self._socket = connection.sock
        self._peer = peer
        self._decoder = FrameDecoder()
        self._frames = self._decoder.feed(response.fp.peek())
        self._unsent = bytearray()

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether there is something that could not be sent yet."""
        return bool(self._unsent)

    def receive(self) -> list[Frame]:
        """The frames that have come. Raises the error that the daemon tells of, and ApiError once it has hung
        up, both only after all frames before were returned."""
        frames, self._frames = self._frames, []
        if not frames:
            frames = self._receive_more()
        if frames and frames[0].type is FrameType.ERROR:
            raise _told_error(frames[0])
        errors = [number for number, frame in enumerate(frames) if frame.type is FrameType.ERROR]
        if errors:
            frames, self._frames = frames[: errors[0]], frames[errors[0] :]
        return frames

    def _receive_more(self) -> list[Frame]:
        try:
            data = self._socket.recv(CONTENT_MAX)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise ApiError(f"{self._peer} hung up before the program's end")
        return self._decoder.feed(data)

    def send(self, frame: bytes) -> None:
        """Send a frame, or what goes of it; the rest is pending."""
        self._unsent += frame
        self.flush()

    def send_input(self, data: bytes) -> None:
        """Send input for the program."""
        for start in range(0, len(data), CONTENT_MAX):
            self._unsent += encode_frame(FrameType.STDIN, data[start : start + CONTENT_MAX])
        self.flush()

    def flush(self) -> None:
        """Send what goes of what is pending. That the daemon has hung up is for `receive` to tell."""
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()

    def close(self) -> None:
        """Let go: a program of `exec` that still runs is killed."""
        self._connection.close()


def _told_error(frame: Frame) -> KwhostError:
    import json

    try:
        return revive(json.loads(frame.content))
    except ValueError:
        return revive(None)


class Client:
    """Requests to one daemon, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Ask, and return the answer's JSON. Raises KwhostError."""
        connection, response = self._ask(method, path, query, _encode(body))
        try:
            return self._read_json(response)
        finally:
            connection.close()

    def events(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[ServerEvent]:
        """The events of a stream, as they come; an event `error` is raised."""
        connection, response = self._ask("GET", path, query, None)
        try:
            for event in self._parse_events(response):
                if event.name == "error":
                    raise revive(event.data)
                yield event
        finally:
            connection.close()

    def upgrade(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Stream:
        """Ask for a program's streams on a connection, which the caller closes. Raises KwhostError."""
        headers = {"Connection": "Upgrade", "Upgrade": PROTOCOL}
        connection, response = self._ask("POST", path, query, _encode(body), headers)
        connection.sock.settimeout(0.0)
        # What came right behind the header of the answer is in its buffer.
        return Stream(connection, response, f"the daemon on {self._path}")

    def download(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """An answer that is no JSON, in pieces. Raises KwhostError, also where it ends early."""
        connection, response = self._ask("GET", path, query, None)
        try:
            while piece := self._guard(response.read1, CONTENT_MAX):
                yield piece
        finally:
            connection.close()

    def upload(self, path: str, query: Mapping[str, Any], pieces: Iterable[bytes]) -> Any:
        """Send pieces as the body, and return the answer's JSON. Raises KwhostError."""
        connection, response = self._ask("PUT", path, query, pieces)
        try:
            return self._read_json(response)
        finally:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: bytes | Iterable[bytes] | None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[_Connection, HTTPResponse]:
        """Send a request; the answer's header has come, and is one of success."""
        connection = _Connection(self._path)
        target = f"{path}?{encode_query(query)}" if query else path
        try:
            # Where it is refused before all of it was sent, the answer says why, if there is one.
            with suppress(ConnectionError):
                connection.request(method, target, body, dict(headers or {}))
            response: HTTPResponse = self._guard(connection.getresponse)
            if response.status >= 400:
                self._raise(response)
        except BaseException:
            connection.close()
            raise
        return connection, response

    def _guard(self, operation: Any, *arguments: Any) -> Any:
        """Turn what a broken connection raises into one line."""
        try:
            return operation(*arguments)
        except (OSError, HTTPException) as error:
            raise ApiError(f"the daemon on {self._path} hung up before its answer was complete") from error

    def _raise(self, response: HTTPResponse) -> None:
        raise revive(self._read_json(response))

    def _read_json(self, response: HTTPResponse) -> Any:
        import json

        data = self._guard(response.read, _ANSWER_MAX)
        try:
            return json.loads(data)
        except ValueError as error:
            raise ApiError(f"what answers on {self._path} is no kwhost daemon") from error

    def _parse_events(self, response: HTTPResponse) -> Iterator[ServerEvent]:
        import json

        fields: dict[str, str] = {}
        while line := self._guard(response.readline, _LINE_MAX):
            if line != b"\n":
                name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition(": ")
                fields[name] = value
            elif fields:
                yield ServerEvent(fields.get("event", ""), json.loads(fields["data"]), fields.get("id"))
                fields = {}


def _encode(body: object) -> bytes | None:
    if body is None:
        return None
    import json

    return json.dumps(body).encode("ascii")
