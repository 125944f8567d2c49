"""The secrets of hosted instances. Blocking.

Those of the configuration are files of the operator's, which are read at each start. Those that a request
brought are kept in memory, in a file that only the daemon's user may read, for as long as there is a record
of the instance: the next daemon finds them again, and nobody writes them to a disk.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from kwhost.core.abi.secrets import encode_secrets
from kwhost.core.config.secret_files import read_secrets
from kwhost.core.engines.launch import secrets_file
from kwhost.core.errors import HostError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.secrets import Secret
from kwhost.core.supervise.storage_view import parse_mounts

__all__ = ["SecretStore"]

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in there is looked at before it is used
_IN_MEMORY = ("tmpfs", "ramfs")
# Of what there is where they are kept, which all of the host may use: a part that stays free.
_KEPT_FREE = 4


class SecretStore:
    """`run_dir` is where they are kept, if it is in memory; else they are beneath /dev/shm."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()  # the directory goes with the last of them

    def keep(self, instance: InstanceId, contents: Mapping[str, bytes]) -> None:
        """Keep those of a new instance. Raises HostError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._lock:
            try:
                with suppress(FileExistsError):
                    self._place().mkdir(mode=0o700)
                encoded = encode_secrets(contents)
                with self._opened() as directory:
                    self._check_room(directory, len(encoded))
                    fd = os.open(instance, flags, 0o600, dir_fd=directory)
                with open(fd, "wb") as file:
                    file.write(encoded)
            except OSError as error:
                raise HostError(f"cannot keep the secrets: {error}") from error

    def _check_room(self, directory: int, size: int) -> None:
        """There may be any number of instances. Raises HostError."""
        found = os.fstatvfs(directory)
        left = found.f_bavail * found.f_frsize - size
        if found.f_blocks and left < found.f_blocks * found.f_frsize // _KEPT_FREE:
            raise HostError(f"{self._place()} has too little room left to keep secrets: remove instances")

    def open(self, instance: InstanceId, secrets: tuple[Secret, ...]) -> int:
        """What a start of the instance needs; the caller closes it. Raises HostError, UsageError."""
        if all(secret.file is not None for secret in secrets):
            return secrets_file(read_secrets(secrets, pipes=False))
        try:
            with self._opened() as directory:
                return os.open(instance, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            raise HostError(
                "its secrets are gone, as they are after a restart of the host: remove it, and run it again"
            ) from None
        except OSError as error:
            raise HostError(f"cannot read the secrets that were kept: {error}") from error

    def remove(self, instance: InstanceId) -> None:
        """Forget those of an instance; nothing happens where it has none."""
        self._remove(lambda name: name == instance)

    def remove_others(self, known: Container[InstanceId]) -> None:
        """Forget those of instances that are not known."""
        self._remove(lambda name: InstanceId(name) not in known)

    def _remove(self, unwanted: Callable[[str], bool]) -> None:
        with self._lock, suppress(OSError, HostError):
            with self._opened() as directory:
                for name in filter(unwanted, os.listdir(directory)):
                    os.unlink(name, dir_fd=directory)
            self._place().rmdir()  # unless others are left

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The directory, which is this user's alone. Raises HostError, OSError."""
        place = self._place()
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(directory)
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise HostError(f"{place} is not this user's alone: remove it")
            yield directory
        finally:
            os.close(directory)

    def _place(self) -> Path:
        """Raises HostError where there is none."""
        if _is_in_memory(self._run_dir):
            return self._run_dir / "secrets"
        if _is_in_memory(_SHARED_MEMORY):
            name = hashlib.sha256(os.fsencode(self._run_dir.absolute())).hexdigest()[:16]
            return _SHARED_MEMORY / f"kwhost-{os.geteuid()}-{name}"
        raise HostError(
            f"neither {self._run_dir} nor {_SHARED_MEMORY} is in memory, and secrets are kept nowhere else: "
            "choose another run_dir, or have the configuration name the secrets' files"
        )


def _is_in_memory(directory: Path) -> bool:
    try:
        device = directory.stat().st_dev
    except OSError:
        return False
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_bytes())
    return any(mount.device == device and mount.file_system in _IN_MEMORY for mount in mounts)
