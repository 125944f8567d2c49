"""The process that unpacks one archive, which is hostile: `unpack_process CONTROL`.

CONTROL is a socket: this process tells there that it has a user namespace, and gets what to do, with the
archive, which becomes its standard input, and the directory to unpack in as a detached mount (without one it
makes the mount itself, of `path`: an ordinary user's). It then has nothing but that directory, its streams,
the capabilities for files within its own user namespace, and the system calls that unpacking needs. What came
of it goes to standard output as JSON: `error`, or the fields of LayerResult and `diff_id`, the digest of the
plain archive.
"""

import json
import os
import resource
import sys
from io import FileIO
from typing import Any

from kwhost.core.abi import unpack_jail
from kwhost.core.errors import ImageError
from kwhost.core.images.compression import Read, plain_stream
from kwhost.core.images.layer_writer import LayerBounds, write_layer
from kwhost.core.images.tar_reader import TarReader

__all__ = ["become_root", "main"]

_MEMORY_MAX = 768 * 1024 * 1024
_PROCESSOR_SECONDS = 3600
_REQUEST_MAX = 32 * 1024  # with a path in it


def _bound_itself() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096),) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX, _MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0)


def become_root() -> None:
    """Of the own user namespace, whose ids are there now. Raises OSError."""
    with open("/proc/self/setgroups", encoding="ascii") as file:
        if file.read().strip() == "allow":
            os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _ask(control: int) -> tuple[dict[str, Any], int | None]:
    """What to do, with the directory to do it in, once this process has a user namespace; the archive becomes
    its standard input."""
    unpack_jail.end_with_parent()
    unpack_jail.own_user_namespace()
    os.write(control, b"namespace")
    request, fds = unpack_jail.receive(control, _REQUEST_MAX)
    if not request:
        sys.exit(1)  # whoever wanted it is gone
    os.close(control)
    os.dup2(fds[0], 0)
    os.close(fds[0])
    return json.loads(request), fds[1] if len(fds) > 1 else None


def _enter(tree: int | None, path: str) -> None:
    """Go into the jail."""
    become_root()
    unpack_jail.end_with_parent()  # forgotten with the change of ids
    unpack_jail.own_mounts()
    if tree is None:
        tree = unpack_jail.mount_of(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    unpack_jail.enter_mount(tree)
    os.close(tree)
    _bound_itself()
    unpack_jail.keep_file_capabilities()
    unpack_jail.filter_unpacking()


class _Hashed:
    """A stream as it is, and the digest of what has come of it."""

    def __init__(self, read: Read) -> None:
        import hashlib  # takes as long to load as a small layer to unpack

        self._read = read
        self._content = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """At most so many bytes."""
        piece = self._read(size)
        self._content.update(piece)
        return piece

    def digest(self) -> str:
        """Of all so far."""
        return f"sha256:{self._content.hexdigest()}"


def _work(control: int) -> dict[str, Any]:
    """What came of it. Raises ImageError, OSError."""
    wish, tree = _ask(control)
    # What is loaded on demand has to be there before the file system is not.
    read = plain_stream(FileIO(0, closefd=False))
    hashed = _Hashed(read) if wish["digest"] else None
    _enter(tree, wish["path"])
    reader = TarReader(hashed.read if hashed else read)
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    result = write_layer(root, reader, LayerBounds(**wish["bounds"]), one_owner=wish["one_owner"])
    opaque = [os.fsdecode(each) for each in result.opaque]
    return {**result._asdict(), "opaque": opaque, "diff_id": hashed and hashed.digest()}


def main(arguments: list[str]) -> None:
    """Do the work; ends the process."""
    try:
        result = _work(int(arguments[0]))
    except ImageError as error:
        result = {"error": str(error)}
    except OSError as error:
        advice = "kwhost doctor tells what is missing"
        result = {"error": f"the jail for unpacking cannot be made or used ({error}); {advice}"}
    except (MemoryError, RecursionError):
        result = {"error": "the archive asks for more memory than unpacking may have"}
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
