"""The process that unpacks one archive, which is hostile: `unpack_process CONTROL PATH`.

The archive comes on standard input. CONTROL is a socket: this process tells there that it has a user
namespace, and gets what to do, with the directory to unpack in as a detached mount (without one it makes the
mount itself, of PATH: an ordinary user's). It then has nothing but that directory, its streams, the
capabilities for files within its own user namespace, and the system calls that unpacking needs. What came of
it goes to standard output as JSON: `error`, or the fields of LayerResult and `diff_id`, the digest of the
plain archive.
"""

import hashlib
import json
import os
import resource
import socket
import sys
from io import FileIO
from typing import Any

from kwhost.core.abi import unpack_jail
from kwhost.core.errors import ImageError
from kwhost.core.images.compression import plain_stream
from kwhost.core.images.layer_writer import LayerBounds, write_layer
from kwhost.core.images.tar_reader import TarReader

__all__ = ["become_root", "main"]

_MEMORY_MAX = 768 * 1024 * 1024
_PROCESSOR_SECONDS = 3600
_REQUEST_MAX = 4096


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


def _enter(control: socket.socket, path: str) -> dict[str, Any]:
    """Go into the jail; what to do there."""
    unpack_jail.end_with_parent()
    unpack_jail.own_user_namespace()
    control.send(b"namespace")
    request, fds, _, _ = socket.recv_fds(control, _REQUEST_MAX, 1)
    if not request:
        sys.exit(1)  # whoever wanted it is gone
    control.close()
    become_root()
    unpack_jail.end_with_parent()  # forgotten with the change of ids
    unpack_jail.own_mounts()
    tree = fds[0] if fds else unpack_jail.mount_of(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    unpack_jail.enter_mount(tree)
    os.close(tree)
    wish: dict[str, Any] = json.loads(request)
    return wish


def _load_decompression() -> None:
    """What is loaded on demand has to be there before the file system is not."""
    import zlib  # noqa: F401

    import zstandard  # noqa: F401


def _unpack(wish: dict[str, Any], source: FileIO) -> dict[str, Any]:
    content = hashlib.sha256()
    read = plain_stream(source)

    def hashed(size: int) -> bytes:
        piece = read(size)
        content.update(piece)
        return piece

    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    bounds = LayerBounds(**wish["bounds"])
    result = write_layer(
        root, TarReader(hashed if wish["digest"] else read), bounds, one_owner=wish["one_owner"]
    )
    opaque = [os.fsdecode(path) for path in result.opaque]
    return {**result._asdict(), "opaque": opaque, "diff_id": f"sha256:{content.hexdigest()}"}


def main(arguments: list[str]) -> None:
    """Do the work; ends the process."""
    source = FileIO(0, closefd=False)
    _load_decompression()
    try:
        wish = _enter(socket.socket(fileno=int(arguments[0])), arguments[1])
        _bound_itself()
        unpack_jail.keep_file_capabilities()
        unpack_jail.filter_unpacking()
        result = _unpack(wish, source)
    except ImageError as error:
        result = {"error": str(error)}
    except OSError as error:
        result = {"error": f"the jail for unpacking cannot be made or used: {error}"}
    except (MemoryError, RecursionError):
        result = {"error": "the archive asks for more memory than unpacking may have"}
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
