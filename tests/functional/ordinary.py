"""A host of an ordinary user's, in namespaces of its own: with a network, something outside, and devices that
the user may open. What runs there has the user id 1000, in a user namespace that gives it no rights here."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tests.functional.hosting import Daemon, eventually
from tests.patience import SECONDS

__all__ = [
    "HOST4",
    "HOST6",
    "LOCAL4",
    "OUTSIDE4",
    "OUTSIDE6",
    "Host",
    "OrdinaryDaemon",
    "make_host",
    "missing_ability",
]

HOST4, HOST6 = "8.8.8.1", "2606:4700::1"
OUTSIDE4, OUTSIDE6, LOCAL4 = "8.8.8.8", "2606:4700::8", "192.168.7.2"

_SETUP = f"""set -e
mount -t tmpfs none /mnt
mkdir -p /dev/net
[ -e /dev/net/tun ] || touch /dev/net/tun
mknod -m 666 /mnt/tun c 10 200
mknod -m 666 /mnt/kvm c 10 232
mount --bind /mnt/tun /dev/net/tun
mount --bind /mnt/kvm /dev/kvm
ip link set lo up
unshare -n sleep infinity & outside=$!
until [ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add ext type veth peer name far netns $outside
ip addr add {HOST4}/24 dev ext
ip -6 addr add {HOST6}/64 dev ext nodad
ip link set ext up
nsenter -t $outside -n sh -ec '
ip link set lo up
ip addr add {OUTSIDE4}/24 dev far
ip addr add {LOCAL4}/24 dev far
ip -6 addr add {OUTSIDE6}/64 dev far nodad
ip link set far up'
ip route add default via {OUTSIDE4}
ip -6 route add default via {OUTSIDE6}
unshare -U --map-user=1000 --map-group=1000 sleep infinity & user=$!
until [ "$(readlink /proc/$user/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
echo $outside $user
exec cat
"""
_SERVER = """
import socket, sys, threading
def serve(listener, name):
    while True:
        connection, _ = listener.accept()
        connection.recv(99)
        connection.sendall(name.encode())
        connection.close()
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family)
    threading.Thread(target=serve, args=(listener, place)).start()
print("ready", flush=True)
"""
_CLIENT = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(b"?")
            print(place, connection.recv(99).decode() == place)
    except OSError as error:
        print(place, False)
"""

_TALKER = """
import socket, sys
host, _, port = sys.argv[1].rpartition(":")
try:
    connection = socket.create_connection((host, int(port)), float(sys.argv[2]))
    for line in sys.stdin:
        connection.sendall(line.encode())
        print(connection.recv(99).decode().rstrip(), flush=True)
except OSError:
    print(flush=True)
"""


def missing_ability() -> str | None:
    """Why no such host can be made here."""
    for command in ("pasta", "nsenter", "unshare", "ip"):
        if shutil.which(command) is None:
            return f"needs {command}"
    return None


class Host:
    """Where the ordinary user is; `outside` are processes of others."""

    def __init__(self, pid: int, outside: int, user: int) -> None:
        self._pid = pid
        self._outside = outside
        self._user = user
        self.others: list[subprocess.Popen[str]] = []

    def as_root(self, *command: str, outside: bool = False) -> list[str]:
        """The command of somebody else on the host, or outside of it."""
        if outside:
            return ["nsenter", "-t", str(self._outside), "-n", *command]
        return ["nsenter", "-t", str(self._pid), "-n", "-m", f"--wd={os.getcwd()}", *command]

    def command(self, *command: str) -> list[str]:
        """The command of the user."""
        namespace = ("-t", str(self._user), "-U", "--preserve-credentials")
        return self.as_root("nsenter", *namespace, *command)

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start kwhost as the user."""
        command = self.command(sys.executable, "-m", "kwhost", *arguments)
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        self.others.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **settings))
        return self.others[-1]

    def run(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run kwhost as the user."""
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def serve(self, *places: str, outside: bool = False) -> None:
        """Have somebody listen on addresses of the host, or outside, who says which."""
        command = self.as_root(sys.executable, "-c", _SERVER, *places, outside=outside)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.others.append(server)
        assert server.stdout
        assert server.stdout.readline() == "ready\n"

    @contextmanager
    def connection(self, place: str, seconds: float = SECONDS) -> Iterator[Callable[[str], str]]:
        """Somebody on the host connects to an address; says lines there, and gets the answers, "" for none
        in so many seconds."""
        command = self.as_root(sys.executable, "-c", _TALKER, place, str(seconds))
        talker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.others.append(talker)
        stdin, stdout = talker.stdin, talker.stdout
        assert stdin
        assert stdout

        def say(line: str) -> str:
            with suppress(BrokenPipeError):  # the connection was refused
                stdin.write(f"{line}\n")
                stdin.flush()
            return stdout.readline().rstrip("\n")

        yield say

    def answer(self, place: str, seconds: float = SECONDS) -> str:
        """What somebody on the host who says "?" at an address gets for an answer; "" for none."""
        with self.connection(place, seconds) as say:
            return say("?")

    def pastas(self) -> list[int]:
        """The processes that drive networks here."""
        return [pid for pid in _processes() if self._is_here(pid) and "pasta" in _command(pid)]

    def processes(self) -> list[str]:
        """Everything of kwhost's that still runs here."""
        return [
            _command(pid)
            for pid in _processes()
            if self._is_here(pid) and any(word in _command(pid) for word in ("pasta", "kwhost"))
        ]

    def _is_here(self, pid: int) -> bool:
        try:
            return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(f"/proc/{self._pid}/ns/net").st_ino
        except OSError:
            return False

    def wait_clean(self) -> None:
        """Nothing is left."""
        eventually(lambda: not self.processes(), f"that nothing is left: {self.processes()}")


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""


def try_places(places: Sequence[str]) -> list[str]:
    """The command that says in an instance which places greet it."""
    return ["python3", "-c", _CLIENT, *places]


def reached(output: str) -> dict[str, bool]:
    """What it said."""
    return {place: answer == "True" for place, answer in (line.split() for line in output.splitlines())}


@contextmanager
def make_host() -> Iterator[Host]:
    """Everything in it is ended afterwards."""
    holder = subprocess.Popen(
        ["unshare", "-n", "-m", "--propagation=private", "sh", "-c", _SETUP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert len(pids) == 2, "the host could not be made"
    host = Host(holder.pid, *pids)
    try:
        yield host
    finally:
        for process in host.others:
            process.kill()
            process.communicate()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        holder.communicate()


class OrdinaryDaemon(Daemon):
    """A daemon of the user's."""

    def __init__(self, host: Host, configuration: str) -> None:
        super().__init__(configuration)
        self._host = host

    def command(self, *arguments: str) -> list[str]:
        return self._host.command(*super().command(*arguments))

    def instance(self, name: str) -> Any:
        """By the command line: whoever is in another user namespace is nobody to the daemon."""
        listed = json.loads(self.run("ps", "-a", "--json").stdout)
        return next(one for one in listed if f"{one['tenant']}/{one['name']}" == name)
