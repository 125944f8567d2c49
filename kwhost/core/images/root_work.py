"""Copying images' layers into directories, removing such copies, and trying whether overlays can be had: each
in a process of its own, that ends with whoever waits for it. Blocking."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.tree_copy import Copied
from kwhost.core.images.unpack import write_id_maps
from kwhost.core.images.unpack_answer import read_answer
from kwhost.core.images.unpackers import LeaseIds

__all__ = ["copy_layers", "empty_tree", "overlay_refusal"]

_MODULE = "kwhost.core.images.root_process"
_COPY_SECONDS = 3600.0
_TRY_SECONDS = 60.0
_READY_SECONDS = 60.0


def copy_layers(
    layers: Sequence[str],
    target: Path,
    lease_ids: LeaseIds,
    look: Callable[[], object] = lambda: None,
    most: int | None = None,
) -> Copied:
    """Copy what the layers show, the uppermost first, into an empty directory, so many bytes at `most`
    (EDQUOT); meanwhile `look` is called now and then, and may raise. Owners are those that the layers' files
    have. Raises ImageError, HostError, and OSError for what is in the way."""
    lease = lease_ids()
    try:
        owners = os.geteuid() == 0 or lease.ids.size > 1
        order = {"target": str(target), "layers": list(layers), "owners": owners, "most": most}
        with _running({"action": "copy", **order}, lease_ids) as process:
            answer = _answer(process, _COPY_SECONDS, look)
    finally:
        lease.close()
    size, left_out, reflinked = (answer.get(key) for key in Copied._fields)
    if not (isinstance(size, int) and isinstance(left_out, int) and isinstance(reflinked, bool)):
        raise ImageError("the process that copies the image gave no proper answer")
    return Copied(size, left_out, reflinked)


def empty_tree(target: Path, lease_ids: LeaseIds) -> None:
    """Remove what is in a directory, whatever ids of this user's it belongs to. Raises as `copy_layers`."""
    with _running({"action": "empty", "target": str(target)}, lease_ids) as process:
        _answer(process, _COPY_SECONDS)


def overlay_refusal(layers: Sequence[str]) -> str:
    """Why the kernel makes no overlay over these directories for an instance; "" where it does. It is
    tried. Raises HostError, ImageError."""
    with _running({"action": "try", "layers": list(layers)}, None) as process:
        return str(read_answer(process, _TRY_SECONDS).get("refused", ""))


def _answer(
    process: "subprocess.Popen[bytes]", seconds: float, look: Callable[[], object] = lambda: None
) -> dict[str, object]:
    answer = read_answer(process, seconds, look)
    if "refused" in answer:
        number = answer.get("errno")
        raise OSError(number if isinstance(number, int) else 0, str(answer["refused"])[:200])
    return answer


@contextmanager
def _running(wish: dict[str, object], lease_ids: LeaseIds | None) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, which has begun. An ordinary user's gets the ids that the user's instances have."""
    with ExitStack() as held:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held.callback(ours.close)
        namespace = lease_ids is not None and os.geteuid() != 0
        order = json.dumps({**wish, "namespace": namespace, "parent": os.getpid()})
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", "-m", _MODULE, str(theirs.fileno()), order],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env={},
                cwd="/",
            )
        held.callback(_end, process)
        if namespace:
            assert lease_ids
            _give_ids(ours, process.pid, lease_ids)
        yield process


def _give_ids(control: socket.socket, pid: int, lease_ids: LeaseIds) -> None:
    control.settimeout(_READY_SECONDS)
    try:
        if not control.recv(64):
            return  # it ended, and says why by itself
    except TimeoutError:
        raise HostError("the process for roots did not begin; is this host out of memory?") from None
    lease = lease_ids()
    try:
        write_id_maps(pid, lease.ids, rootless=True)
    finally:
        lease.close()
    control.send(b"ids")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()
