"""Unpacking an archive in a jailed process of its own: this process's rights meet nothing hostile."""

import errno
import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi import unpack_jail
from kwhost.core.abi.openat2 import open_beneath
from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.deadline import LOAD_SECONDS
from kwhost.core.images.digests import Digest, parse_digest
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.room import room_for
from kwhost.core.images.unpack_answer import read_answer
from kwhost.core.images.unpackers import Unpacker, Unpackers
from kwhost.core.model.ids import IdRange

__all__ = ["Unpacked", "unpack", "write_id_maps"]

_READY_SECONDS = 60.0


class Unpacked(NamedTuple):
    """What came of an archive: bytes of files, entries, those left out, and its digest without compression,
    if that was wanted."""

    size: int
    entries: int
    left_out: int
    diff_id: Digest | None


def unpack(
    archive: int,
    directory: Path,
    bounds: LayerBounds,
    unpackers: Unpackers,
    *,
    digest: bool = False,
    seconds: float = LOAD_SECONDS,
) -> Unpacked:
    """Unpack the opened archive in an empty directory, for so many `seconds` at most; with `digest`, find out
    its digest uncompressed.
    Owners on disk are the archive's where this process is root; an ordinary user's are those that the user's
    instances have. Whoever else writes to the disk, it ends once there is too little room. Raises ImageError,
    HostError."""
    with ExitStack() as ends:
        lease = unpackers.lease_ids()
        ends.callback(lease.close)
        unpacker = unpackers.take()
        ends.callback(unpacker.end)
        wish = {
            "bounds": bounds._asdict(),
            "one_owner": lease.ids.size == 1,
            "digest": digest,
            "path": str(directory),
        }
        with _only_read(archive) as source:
            _let_begin(unpacker, source, directory, wish, lease.ids)
        result = read_answer(unpacker.process, seconds, partial(room_for, directory))
    return _finish(result, directory, digest=digest)


@contextmanager
def _only_read(archive: int) -> Iterator[int]:
    """The archive, opened for nothing else: what unpacks it is not to change it."""
    if not stat.S_ISREG(os.fstat(archive).st_mode):
        yield archive
        return
    source = os.open(f"/proc/self/fd/{archive}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.lseek(source, os.lseek(archive, 0, os.SEEK_CUR), os.SEEK_SET)
        yield source
    finally:
        os.close(source)


def _let_begin(
    unpacker: Unpacker, source: int, directory: Path, wish: dict[str, object], ids: IdRange
) -> None:
    """Give the process ids, the archive, the directory and the order. One that ended says why by itself."""
    control, pid = unpacker.control, unpacker.process.pid
    control.settimeout(_READY_SECONDS)
    try:
        if not control.recv(64):
            return
    except TimeoutError:
        raise HostError(
            "the process that unpacks images did not begin; is this host out of memory?"
        ) from None
    rootless = os.geteuid() != 0
    write_id_maps(pid, ids, rootless=rootless)
    with ExitStack() as ends:
        fds = [source]
        if not rootless:
            fds.append(_mapped_mount(pid, directory))
            ends.callback(os.close, fds[1])
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(control, [json.dumps(wish).encode()], fds)


def _mapped_mount(pid: int, directory: Path) -> int:
    """The directory with owners as the process has them: what it makes for its id 0 belongs to 0 on disk.
    Raises HostError."""
    with ExitStack() as ends:
        namespace = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        ends.callback(os.close, namespace)
        opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        ends.callback(os.close, opened)
        try:
            return unpack_jail.mount_of(opened, namespace)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise HostError(f"cannot mount {directory} for unpacking: {error.strerror}") from error
            text = "its file system has no id-mapped mounts; keep host.state_dir on ext4, xfs or btrfs"
            raise HostError(f"images cannot be unpacked in {directory}: {text}") from error


def write_id_maps(pid: int, ids: IdRange, *, rootless: bool) -> None:
    """Give a process that is in a new user namespace its ids. Raises HostError, OSError."""
    places = (("uid", os.geteuid(), ids.uid_base), ("gid", os.getegid(), ids.gid_base))
    if rootless and ids.size > 1:
        for kind, own, base in places:
            tool = [f"new{kind}map", str(pid), "0", str(own), "1", "1", str(base), str(ids.size - 1)]
            done = subprocess.run(tool, capture_output=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise HostError(f"new{kind}map refused: {done.stderr.decode(errors='replace').strip()[:200]}")
        return
    if rootless:
        Path(f"/proc/{pid}/setgroups").write_text("deny", encoding="ascii")
    for kind, own, base in places:
        line = f"0 {own} 1" if rootless else f"0 {base} {ids.size}"
        Path(f"/proc/{pid}/{kind}_map").write_text(line, encoding="ascii")


def _finish(result: dict[str, object], directory: Path, *, digest: bool) -> Unpacked:
    """The result as it must be; it comes from what has read hostile data."""
    size, entries, left_out = (result.get(key) for key in ("size", "entries", "left_out"))
    opaque = result.get("opaque")
    if not (isinstance(size, int) and isinstance(entries, int) and isinstance(left_out, int)):
        raise ImageError("the process that unpacks the image gave no proper answer")
    if os.geteuid() == 0 and isinstance(opaque, list):
        _mark_opaque(directory, opaque)
    return Unpacked(size, entries, left_out, parse_digest(str(result.get("diff_id"))) if digest else None)


def _mark_opaque(directory: Path, paths: list[object]) -> None:
    """Mark directories for kernels whose overlays are made with root's attributes (up to Linux 6.5)."""
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path in paths:
            with suppress(FileNotFoundError, NotADirectoryError):  # replaced later in the same layer
                opened = open_beneath(root, str(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.setxattr(opened, "trusted.overlay.opaque", b"y")
                finally:
                    os.close(opened)
    except OSError as error:
        raise ImageError(f"a layer's directory cannot be marked as replaced: {error.strerror}") from error
    finally:
        os.close(root)
