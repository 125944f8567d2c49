"""Starts a hosted instance as the daemon does and speaks with its `supervise`, without a daemon."""

import array
import errno
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kwhost.core.abi.exit_record import ExitRecord
from kwhost.core.abi.messages import MESSAGE_SIZE, AttachFlag, Event, EventType, attach, hello
from kwhost.core.abi.statistics import decode_statistics
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.engines.base import HostedEnds, PolicyFds
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.engines.launch import launch_hosted, new_statistics_file, sealed_record
from kwhost.core.images.rootfs import rootfs_image
from kwhost.core.model.ids import InstanceName, new_instance_id
from kwhost.core.model.instance import Identity, LaunchPlan, TerminalSize
from kwhost.core.model.mounts import Mount
from kwhost.core.model.taps import Tap
from tests.patience import SECONDS

if TYPE_CHECKING:
    import subprocess

__all__ = [
    "Client",
    "HostedInstance",
    "LogLine",
    "New",
    "Pipes",
    "read_all",
    "read_until",
    "wait_until",
]

_UID_BASE = 1_879_048_192
_ROOT = Identity(uid=0, gid=0)


def wait_until(condition: Callable[[], Any]) -> Any:
    """Poll until the condition holds, and return its value."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
    return value


class Client:
    """One control connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        self.socket = connection

    def send(self, message: bytes, *fds: int) -> None:
        socket.send_fds(self.socket, [message], fds)

    def receive(self) -> tuple[Event | None, list[int]]:
        """The next event, None at the end, and its descriptors."""
        data, ancillary, _, _ = self.socket.recvmsg(MESSAGE_SIZE + 1, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for _, _, content in ancillary:
            fds.frombytes(content)
        return Event.decode(data), list(fds)

    def event(self, wanted: EventType) -> Event:
        """The next event of a kind; others before it are passed over."""
        while True:
            event, fds = self.receive()
            for fd in fds:
                os.close(fd)
            assert event, f"no {wanted} came"
            if event.type is wanted:
                return event

    def started(self) -> int:
        """Wait until the program runs; its pid on the host."""
        self.send(hello())
        event = self.event(EventType.HELLO)
        return event.extra if event.value else self.event(EventType.STARTED).extra

    def is_closed(self) -> bool:
        """Read everything that still comes; True when that ends."""
        try:
            while self.socket.recv(MESSAGE_SIZE):
                pass
        except ConnectionError:
            pass
        return True


class LogLine(NamedTuple):
    """One record of the log."""

    time: str
    stream: str
    tag: str
    text: str


class HostedInstance:
    """A hosted instance of a root directory, or of mounts instead, in a virtual machine or without one;
    `close` ends it."""

    def __init__(
        self, directory: Path, root: Path, mounts: tuple[Mount, ...] = (), *, virtual: bool = True
    ) -> None:
        self.is_virtual = virtual
        self.dirs = InstanceDirs.of(directory / "run", directory / "state", new_instance_id())
        self.dirs.make()
        self._root, self._mounts = root, mounts
        self._statistics = -1
        self._clients: list[Client] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        *argv: str,
        interactive: bool = False,
        terminal: TerminalSize | None = None,
        stdio: tuple[int, int, int] | None = None,
        cgroups: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
        policy: bytes = b"",
        ceiling: bytes = b"",
        netns: int = -1,
        taps: tuple[Tap, ...] = (),
        identity: Identity = _ROOT,
        **options: Any,
    ) -> None:
        """Launch it; returns at once. The options are fields of the launch plan."""
        with ExitStack() as ours:
            lease = lease_ids(_UID_BASE)
            ours.callback(lease.close)
            kvm, stats = open_kvm() if self.is_virtual else None, new_statistics_file()
            self._statistics = os.dup(stats)
            log_dir = os.open(self.dirs.state, os.O_RDONLY | os.O_DIRECTORY)
            exit_file = self.dirs.allocate_exit()
            files = [sealed_record(data) if data else -1 for data in (policy, ceiling)]
            for fd in (-1 if kvm is None else kvm, stats, log_dir, exit_file, *files):
                if fd >= 0:
                    ours.callback(os.close, fd)
            listener = ours.enter_context(self.dirs.listen())
            plan = LaunchPlan(
                name=InstanceName("hosted"),
                argv=argv,
                environment={"PATH": "/bin"},
                workdir="/",
                identity=identity,
                ids=lease.ids,
                mounts=self._mounts or rootfs_image(str(self._root)).mounts,
                nofile=1024,
                interactive=interactive,
                terminal=terminal,
                rootless=os.geteuid() != 0,
                hosted=True,
                **options,
            )
            ends = HostedEnds(
                control=listener.fileno(),
                log_dir=log_dir,
                exit=exit_file,
                stats=stats,
                cgroups=cgroups[0],
                guest_cgroups=cgroups[1],
                policy=PolicyFds(*files),
                stdio=stdio,
                netns=netns,
                taps=taps,
            )
            self.process = launch_hosted(plan, ends, kvm, lease.fd)

    def shell(self, script: str, **options: Any) -> None:
        """Start a shell script in it."""
        self.start("/bin/sh", "-c", script, **options)

    def connect(self) -> Client:
        connection = self.dirs.connect()
        assert connection
        client = Client(connection)
        self._clients.append(client)
        return client

    def say(self, text: str) -> None:
        """Write to the program's standard input, which stays open."""
        read, write = os.pipe()
        client = self.connect()
        client.send(attach(AttachFlag.STDIN), read)
        os.close(read)
        os.write(write, text.encode())
        os.close(write)

    def wait(self) -> ExitRecord:
        """Wait for the end; the record that it left."""
        assert self.process
        self.process.wait(SECONDS)
        record = self.dirs.read_exit()
        assert record
        return record

    def calls_made(self) -> frozenset[str]:
        """The system calls that its programs made so far."""
        data = os.pread(self._statistics, STATS_SIZE, 0)
        statistics = decode_statistics(data, 0)
        assert statistics
        return frozenset(call.name for call in statistics.calls if call.calls)

    def log_files(self) -> list[Path]:
        """Newest first."""
        files = [self.dirs.state / "log", *(self.dirs.state / f"log.{n}" for n in range(1, 20))]
        return [file for file in files if file.exists()]

    def log(self) -> list[LogLine]:
        """Every record of all files, oldest first."""
        text = "".join(file.read_bytes().decode() for file in reversed(self.log_files()))
        return [LogLine(*line.split(" ", 3)) for line in text.split("\n")[:-1]]

    def logged(self, stream: str = "stdout") -> str:
        """What the program printed, as the log tells it."""
        return "".join(
            line.text + ("\n" if line.tag == "F" else "") for line in self.log() if line.stream == stream
        )

    def descriptors(self) -> int:
        """How many descriptors `supervise` has."""
        assert self.process
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self) -> None:
        """End it, if it still runs, and let go of the connections."""
        for client in self._clients:
            client.socket.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        if self._statistics >= 0:
            os.close(self._statistics)
            self._statistics = -1


def read_all(fd: int) -> bytes:
    """Everything up to the end, which has to come in time."""
    data = b""
    while True:
        assert select.select([fd], [], [], SECONDS)[0], f"no end after {data[-100:]!r}"
        try:
            more = os.read(fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # of a terminal without a program
                raise
            return data
        if not more:
            return data
        data += more


def read_until(fd: int, text: bytes) -> bytes:
    """Everything up to a text, which has to come in time."""
    data = b""
    while text not in data:
        assert select.select([fd], [], [], SECONDS)[0], f"{text!r} did not come: {data!r}"
        more = os.read(fd, 65536)
        assert more, f"{text!r} did not come: {data!r}"
        data += more
    return data


# What fixtures make.
New = Callable[..., HostedInstance]
Pipes = Callable[[], tuple[int, int]]
