"""`kwhost cp`: files into an instance, and out of it."""

import posixpath
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser
from kwhost.core.errors import HostError, NotFound, UsageError

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["main", "parse_places"]

_USAGE = "kwhost cp [--host PATH] NAME:PATH TARGET | kwhost cp [--host PATH] SOURCE NAME:PATH"
_DESCRIPTION = """Copy a file or directory out of an instance or into it. Where the target is a directory, it
goes into it, else it becomes the target. - is a tar archive on standard output or input; the latter is
unpacked in PATH. A path of this host that has a colon is written with ./ or / in front."""
_EPILOG = """examples:
  kwhost cp web-1:/var/log/app.log .
  kwhost cp ./site acme/web-1:/srv
  kwhost cp web-1:/etc - | tar t"""

_PIECE = 64 * 1024


class _Places(NamedTuple):
    """What is copied: `path` of the instance `name`, and a path of this host; `out`: from the instance."""

    name: str
    path: str
    here: str
    out: bool


def _split(text: str) -> tuple[str, str] | None:
    """NAME and PATH; None for a path of this host."""
    name, colon, path = text.partition(":")
    return (name, path) if colon and not name.startswith((".", "/")) else None


def parse_places(source: str, target: str) -> _Places:
    """Which of the two is the instance's. Raises UsageError."""
    there, here = _split(source), target
    if (there is None) == (_split(target) is None):
        raise UsageError("one of the two must be an instance's, as NAME:/PATH, and the other of this host")
    out = there is not None
    if there is None:
        there, here = _split(target), source
    assert there
    name, path = there
    if not name or not path.startswith("/"):
        raise UsageError(f"{source if out else target!r} must be NAME:/PATH, with an absolute path")
    if not here:
        raise UsageError("a path of this host is empty; write . for this directory")
    return _Places(name, path, here, out)


def _take(client: "Client", places: _Places) -> None:
    pieces = client.download(instance_path(places.name, "files"), {"path": places.path})
    if places.here != "-":
        from kwhost.core.cli.archives import unpack

        unpack(pieces, Path(places.here))
        return
    if sys.stdout.isatty():
        raise UsageError("an archive does not go to a terminal; send it into a file or to tar")
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise HostError(f"cannot write standard output: {error.strerror}") from error


def _input() -> Iterator[bytes]:
    while piece := sys.stdin.buffer.read(_PIECE):
        yield piece


def _is_directory(client: "Client", places: _Places) -> bool:
    """Whether the instance has a directory there: the first entry of its archive tells."""
    import tarfile

    pieces = client.download(instance_path(places.name, "files"), {"path": places.path})
    try:
        header = b""
        while len(header) < tarfile.BLOCKSIZE and (piece := next(pieces, b"")):
            header += piece
        return header[156:157] == tarfile.DIRTYPE
    except NotFound:
        return False


def _give(client: "Client", places: _Places) -> None:
    files = instance_path(places.name, "files")
    if places.here == "-":
        client.upload(files, {"path": places.path}, _input())
        return
    from kwhost.core.cli.archives import pack

    source = Path(places.here)
    if not source.exists():
        raise UsageError(f"there is no {source}")
    if places.path.endswith("/") or _is_directory(client, places):
        directory, name = places.path, source.resolve().name
    else:
        directory, name = posixpath.split(places.path)
    client.upload(files, {"path": directory}, pack(source, name))


def main(arguments: Sequence[str]) -> int:
    """Copy."""
    parser = CommandParser("cp", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="what is copied")
    parser.add_argument("target", metavar="TARGET", help="where to")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    places = parse_places(options.source, options.target)
    client = connect(options.host)
    if places.out:
        _take(client, places)
    else:
        _give(client, places)
    return 0
