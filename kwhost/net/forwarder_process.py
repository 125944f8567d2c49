"""The forwarder's process: one for each run directory, found through its socket there, started once.

Whoever holds the lock on `forward.lock` is the forwarder, or is starting it. Its socket listens before it
runs, so that whoever finds the lock taken can connect at once.
"""

import errno
import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kwhost.core.abi.programs import program_path
from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.network import Address, Transport
from kwhost.net.ports import bound_socket

__all__ = ["bind_port", "find_forwarder", "remove_remains", "start_forwarder"]

_SOCKET, _LOCK = "forward.sock", "forward.lock"
_BACKLOG = 8
# Calls that wait to be accepted; the host's net.core.somaxconn may allow fewer.
_CALLS_WAITING = 4096


def find_forwarder(run_dir: Path) -> socket.socket | None:
    """A connection to the forwarder of a run directory; None where none runs. Raises NetworkError."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with _opened(run_dir) as directory:
            control.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
    except (FileNotFoundError, ConnectionRefusedError):
        control.close()
        return None
    except OSError as error:
        control.close()
        raise NetworkError(f"cannot connect to {run_dir / _SOCKET}: {error.strerror}") from error
    return control


def start_forwarder(run_dir: Path) -> bool:
    """Start the forwarder of a run directory, unless one runs or is being started. Raises NetworkError.

    It inherits a listening socket, the lock and the directory, and nothing else.
    """
    try:
        with ExitStack() as stack:
            directory = stack.enter_context(_opened(run_dir))
            lock = _take_lock(directory)
            if lock is None:
                return False
            stack.callback(os.close, lock)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            _listen(listener, directory)
            _spawn(listener.fileno(), lock, directory)
    except OSError as error:
        raise NetworkError(f"cannot start the forwarder in {run_dir}: {error.strerror}") from error
    return True


def remove_remains(run_dir: Path) -> None:
    """Remove what a killed forwarder left in a run directory, unless one runs or is being started. Raises
    NetworkError."""
    try:
        with _opened(run_dir) as directory:
            lock = _take_lock(directory)
            if lock is None:
                return
            try:  # the lock's file goes last, as where a forwarder ends by itself
                for name in (_SOCKET, _LOCK):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=directory)
            finally:
                os.close(lock)
    except OSError as error:
        text = f"cannot remove what a forwarder left in {run_dir}: {error.strerror}"
        raise NetworkError(text) from error


def bind_port(transport: Transport, address: Address, number: int) -> socket.socket:
    """A socket that is bound to a port, and listens if it is TCP. Raises Conflict where the port is taken."""
    try:
        with ExitStack() as undo:
            made = undo.enter_context(bound_socket(transport, address, number))
            if transport is Transport.TCP:
                made.listen(_CALLS_WAITING)
            undo.pop_all()
            return made
    except OSError as error:
        where = f"the {transport.value} port {number} of {address}"
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"{where} is taken by another program: publish another port") from error
        raise NetworkError(f"cannot listen at {where}: {error.strerror}") from error


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """A directory, through which a socket's path fits into its address however long its own is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take_lock(directory: int) -> int | None:
    """The locked file, opened; None where it is locked already."""
    while True:
        lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A forwarder that ends removes its file: the lock on a removed one means nothing.
            if os.path.samestat(os.fstat(lock), os.stat(_LOCK, dir_fd=directory)):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)


def _listen(listener: socket.socket, directory: int) -> None:
    try:
        os.unlink(_SOCKET, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    listener.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
    os.chmod(_SOCKET, 0o600, dir_fd=directory)
    listener.listen(_BACKLOG)


def _spawn(*descriptors: int) -> None:
    """Start the program, which detaches itself and says by its status whether it could."""
    done = subprocess.run(
        [program_path("kwhost-forward", "the forwarder"), "serve", *map(str, descriptors)],
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=descriptors,
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise NetworkError(f"the forwarder did not start: {text}")
