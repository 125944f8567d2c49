"""The directories of hosted instances: sockets in the run directory, logs and ends in the state directory."""

import errno
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi.exit_record import EXIT_SIZE, ExitRecord, decode_exit
from kwhost.core.errors import HostError
from kwhost.core.model.ids import InstanceId

__all__ = ["InstanceDirs"]

_BACKLOG = 64


class InstanceDirs(NamedTuple):
    """Where one instance's files are."""

    run: Path
    state: Path

    @classmethod
    def of(cls, run_dir: Path, state_dir: Path, instance: InstanceId) -> "InstanceDirs":
        """The directories of an instance; they need not exist."""
        return cls(run_dir / "instances" / instance, state_dir / "instances" / instance)

    def make(self) -> None:
        """Make both, closed to everybody else. An exit record of an earlier run is gone afterwards."""
        try:
            for directory in self:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in (self.exit_file, self._next_exit_file):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(
                f"cannot make the instance's directories in {self.state}: {error.strerror}"
            ) from error

    @property
    def exit_file(self) -> Path:
        """Where `supervise` writes how the instance ended."""
        return self.state / "exit"

    @property
    def _next_exit_file(self) -> Path:
        return self.state / "exit.next"

    def allocate_exit(self) -> int:
        """The exit file, opened, with its space taken already: it can be written when the disk is full. It
        gets its name once `supervise` has it: see `keep_exit`."""
        try:
            fd = os.open(self._next_exit_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise HostError(f"cannot make {self.exit_file}: {error.strerror}") from error
        try:
            os.posix_fallocate(fd, 0, EXIT_SIZE)
        except OSError as error:
            os.close(fd)
            advice = "; free some space" if error.errno == errno.ENOSPC else ""
            raise HostError(f"cannot reserve {self.exit_file}: {error.strerror}{advice}") from error
        return fd

    def keep_exit(self) -> None:
        """`supervise` was started: whoever finds the exit file without a record knows that it was lost."""
        with suppress(OSError):  # it is found under its other name too
            self._next_exit_file.rename(self.exit_file)

    def read_exit(self) -> ExitRecord | None:
        """How the instance ended; None where no `supervise` said."""
        for file in (self.exit_file, self._next_exit_file):
            with suppress(OSError):
                return decode_exit(file.read_bytes())
        return None

    @property
    def _policy_file(self) -> Path:
        return self.state / "policy"

    def keep_policy(self, data: bytes) -> None:
        """Keep what is known of the run's policies: all of it, or what there was before. Raises HostError."""
        _replace(self._policy_file, data)

    def read_policy(self) -> bytes | None:
        """What was kept; None where it cannot be read."""
        try:
            return self._policy_file.read_bytes()
        except OSError:
            return None

    def keep_image(self, digest: str) -> None:
        """Note the image of the run, "" for none of the store, so that it stays there: at no time is there
        less than the new note or the one before. Raises HostError."""
        _replace(self.state / "image", digest.encode("ascii"))

    def keep_settings(self, settings: bytes) -> None:
        """Note what an image that is not of the store says of itself; b"" for nothing. Raises HostError."""
        file = self.state / "image-settings"
        try:
            if settings:
                file.write_bytes(settings)
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(f"cannot write {file}: {error.strerror}") from error

    def read_settings(self) -> bytes:
        """What was noted; b"" where nothing was."""
        try:
            return (self.state / "image-settings").read_bytes()
        except OSError:
            return b""

    def read_image(self) -> str:
        """What was noted; "" where nothing was."""
        try:
            return (self.state / "image").read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""

    def listen(self) -> socket.socket:
        """The socket that `supervise` is reached by, listening already."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            (self.run / "control.sock").unlink(missing_ok=True)
            with _ShortPath(self.run) as directory:
                listener.bind(f"{directory}/control.sock")
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise HostError(f"cannot listen on {self.run}/control.sock: {error.strerror}") from error
        return listener

    def connect(self) -> socket.socket | None:
        """A connection to `supervise`; None where there is none any more. Never waits: that one which hangs
        takes no more of them at some point is an error."""
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with _ShortPath(self.run) as directory:
                control.connect(f"{directory}/control.sock")
            control.setblocking(True)  # noqa: FBT003 - the standard library's own interface
        except (FileNotFoundError, ConnectionRefusedError):
            control.close()
            return None
        except OSError as error:
            control.close()
            raise HostError(f"cannot connect to {self.run}/control.sock: {error.strerror}") from error
        return control

    def remove_run(self) -> None:
        """Remove what a restart of the host would remove too."""
        shutil.rmtree(self.run, ignore_errors=True)

    def remove(self) -> None:
        """Remove everything, the log too."""
        self.remove_run()
        shutil.rmtree(self.state, ignore_errors=True)


def _replace(file: Path, data: bytes) -> None:
    fresh = file.with_name(f"{file.name}.next")
    try:
        fresh.write_bytes(data)
        fresh.replace(file)
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}") from error


class _ShortPath:
    """A directory by a path that fits into a socket address (107 bytes), however long its own is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
