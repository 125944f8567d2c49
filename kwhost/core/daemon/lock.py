"""One daemon for one state directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kwhost.core.errors import Conflict, HostError

__all__ = ["hold_state"]

_PAUSE = 0.05


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"cannot open {path}: {error.strerror}") from error


def _take(fd: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)  # a wait of flock itself could not be given up
        else:
            return True


@contextmanager
def hold_state(state_dir: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a state directory, making it where there is none; the kernel lets go of it when this process ends
    in whatever way. Raises Conflict where another process holds it for `patience` seconds, HostError."""
    path = state_dir / "lock"
    fd = _open(path)
    try:
        if not _take(fd, patience):
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            raise Conflict(
                f"{state_dir} is in use by another kwhost (process {holder or 'unknown'}): "
                "kwhost down ends it, and another host.state_dir goes beside it"
            )
        with suppress(OSError):  # on a full disk nobody is told who holds it
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
