"""The forwarder's process: found, started once, hard to confuse, without privileges, gone without a trace."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from kwhost.core.abi import forward as wire
from kwhost.core.errors import NetworkError
from kwhost.net.forwarder import Forwarder
from kwhost.net.forwarder_process import find_forwarder, remove_remains
from kwhost.net.wishes import Namespace
from tests.net.forwarding import (
    Place,
    ask,
    connect,
    echo,
    forwarders,
    free_port,
    open_forwarder,
    relays,
    serving,
)
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]

# Another daemon: it opens the forwarder of a directory, serves a port, says so, and waits to be killed.
DAEMON = """
import sys, trio
from ipaddress import IPv4Address
from pathlib import Path
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import Destination, ForwardTarget, ForwardedPort, Forwarder
async def main(run_dir, number, instance, namespace, uid):
    forwarder = await Forwarder.open(Path(run_dir))
    port = ForwardedPort(Transport.TCP, IPv4Address("127.0.0.1"), int(number))
    await forwarder.attach(ForwardTarget(instance=instance, namespace=namespace, uid=int(uid), gid=int(uid)))
    await forwarder.listen(port)
    await forwarder.lead(port, [Destination(instance, 7000)])
    print("serving", flush=True)
    await trio.sleep_forever()
trio.run(main, *sys.argv[1:])
"""


def started_daemon(*arguments: str) -> "subprocess.Popen[bytes]":
    return started(sys.executable, "-c", DAEMON, *arguments)


def started(*command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def capabilities(pid: int) -> set[int]:
    """Of all its sets, as masks."""
    status = status_of(pid)
    return {int(status[f"Cap{kind}"][0], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


def descriptors(pid: int) -> set[str]:
    """The kinds of them."""
    folder = f"/proc/{pid}/fd"
    return {os.readlink(f"{folder}/{name}").partition(":")[0] for name in os.listdir(folder)}


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(SECONDS):
        while not condition():
            await trio.sleep(0.01)


async def test_it_outlives_a_killed_daemon_and_tells_the_next_one_what_it_does(
    tmp_path: Path, place: Place
) -> None:
    port = free_port()
    namespace = Namespace(f"/proc/{os.getpid()}/fd/{place.namespace.rpartition('/')[2]}")
    arguments = [str(port.number), place.target.instance, namespace, str(place.target.uid)]

    with serving(place.namespace, echo), started_daemon(str(tmp_path), *arguments) as daemon:
        assert daemon.stdout
        assert await trio.to_thread.run_sync(daemon.stdout.readline) == b"serving\n"
        with await trio.to_thread.run_sync(connect, port) as client:
            client.sendall(b"before")
            assert client.recv(100) == b"before"
            daemon.kill()
            daemon.wait()
            client.sendall(b"after")
            assert client.recv(100) == b"after"
            async with open_forwarder(tmp_path) as forwarder:
                assert await forwarder.ports() == {port: (place.at(),)}
                assert (await forwarder.targets())[place.target.instance].counts.connections == 1
                failures = await forwarder.synchronise({port: [place.at()]}, [place.target])
                assert failures == {}
                assert await trio.to_thread.run_sync(ask, port, b"again") == b"again"


async def test_synchronising_keeps_what_is_wanted_and_ends_the_rest(
    forwarder: Forwarder, place: Place, other: Place
) -> None:
    kept, gone, fresh = free_port(), free_port(), free_port()
    assert await forwarder.synchronise({kept: [place.at()], gone: [other.at()]}, [place.target]) == {}
    with serving(place.namespace, echo), await trio.to_thread.run_sync(connect, kept) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        wanted = {kept: [place.at()], fresh: [other.at()]}
        assert await forwarder.synchronise(wanted, [place.target, other.target]) == {}
        client.sendall(b"after")
        assert client.recv(100) == b"after"

    assert set(await forwarder.ports()) == {kept, fresh}
    assert set(await forwarder.targets()) == {place.target.instance, other.target.instance}


async def test_many_that_open_it_at_once_find_the_same_one(tmp_path: Path) -> None:
    found: list[Forwarder] = []

    async def open_one() -> None:
        found.append(await Forwarder.open(tmp_path))

    async with open_forwarder(tmp_path), trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(open_one)
    for one in found:
        one.close()
    assert len(found) == 5


async def test_there_is_one_for_a_directory(forwarder: Forwarder, tmp_path: Path) -> None:
    another = await Forwarder.open(tmp_path)
    another.close()

    assert len(forwarders(tmp_path)) == 1


@pytest.mark.parametrize("way", ["stop", "terminate", "remove"])
async def test_it_ends_and_leaves_nothing(tmp_path: Path, place: Place, way: str) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    forwarder = await Forwarder.open(run_dir)
    port = free_port()
    await forwarder.attach(place.target)
    await forwarder.listen(port)
    [process], [relay] = forwarders(run_dir), relays(run_dir)

    if way == "stop":
        await forwarder.stop()
    elif way == "terminate":
        os.kill(process, signal.SIGTERM)
    else:
        shutil.rmtree(run_dir)
    forwarder.close()

    await until(lambda: not is_running(process) and not is_running(relay))
    assert not run_dir.exists() or list(run_dir.iterdir()) == []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_killed_one_takes_its_relays_along_and_is_replaced(
    forwarder: Forwarder, tmp_path: Path, place: Place
) -> None:
    port = free_port()
    assert await forwarder.synchronise({port: [place.at()]}, [place.target]) == {}
    [process], [relay] = forwarders(tmp_path), relays(tmp_path)
    os.kill(process, signal.SIGKILL)
    await until(lambda: not is_running(process) and not is_running(relay))

    with pytest.raises(NetworkError, match="does not answer"):
        await forwarder.ports()
    assert forwarder.lost
    fresh = await Forwarder.open(tmp_path)
    assert await fresh.synchronise({port: [place.at()]}, [place.target]) == {}
    fresh.close()
    with serving(place.namespace, echo):
        assert await trio.to_thread.run_sync(ask, port, b"ping") == b"ping"


async def test_what_a_killed_one_leaves_is_removed_and_nothing_of_one_that_runs(tmp_path: Path) -> None:
    forwarder = await Forwarder.open(tmp_path)
    [process] = forwarders(tmp_path)
    remove_remains(tmp_path)
    assert await forwarder.ports() == {}
    os.kill(process, signal.SIGKILL)
    await until(lambda: not is_running(process))
    forwarder.close()
    assert os.listdir(tmp_path) != []

    await Forwarder.end(tmp_path)

    assert os.listdir(tmp_path) == []


async def test_a_relay_ends_with_the_instances_process(
    forwarder: Forwarder, tmp_path: Path, place: Place
) -> None:
    with started("sleep", "60") as process:
        pidfd = os.pidfd_open(process.pid)
        try:
            await forwarder.attach(replace(place.target, process=pidfd))
        finally:
            os.close(pidfd)
        assert relays(tmp_path) != []
        process.kill()
        await until(lambda: relays(tmp_path) == [])
    assert await forwarder.targets() == {}


async def test_a_killed_relay_is_told_and_can_be_made_anew(
    forwarder: Forwarder, tmp_path: Path, place: Place
) -> None:
    await forwarder.attach(place.target)
    [relay] = relays(tmp_path)
    os.kill(relay, signal.SIGKILL)
    with trio.fail_after(SECONDS):
        while (await forwarder.targets())[place.target.instance].alive:
            await trio.sleep(0.01)

    await forwarder.attach(place.target)
    assert (await forwarder.targets())[place.target.instance].alive


async def test_a_relay_has_no_privilege(forwarder: Forwarder, tmp_path: Path, place: Place) -> None:
    await forwarder.attach(place.target)
    [relay] = relays(tmp_path)
    status = status_of(relay)

    assert status["Uid"] == [str(place.target.uid)] * 4
    assert status["Gid"] == [str(place.target.gid)] * 4
    assert status["Groups"] == []
    assert capabilities(relay) == {0}
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    assert os.stat(f"/proc/{relay}/environ").st_uid == 0  # not dumpable
    assert os.stat(f"/proc/{relay}/ns/net").st_ino == os.stat(place.namespace).st_ino
    assert descriptors(relay) == {"/dev/null", "socket", "anon_inode"}


async def test_the_forwarder_keeps_few_privileges(forwarder: Forwarder, tmp_path: Path) -> None:
    [process] = forwarders(tmp_path)
    # CAP_KILL, SETGID, SETUID, SETPCAP and SYS_ADMIN.
    assert capabilities(process) == {0, 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 21}
    assert os.readlink(f"/proc/{process}/cwd") == "/"


async def test_a_relay_for_root_or_outside_of_a_network_namespace_is_refused(
    forwarder: Forwarder, place: Place
) -> None:
    with pytest.raises(NetworkError, match="Invalid argument"):
        await forwarder.attach(replace(place.target, uid=0))
    with pytest.raises(NetworkError, match="Invalid argument"):
        await forwarder.attach(replace(place.target, namespace=Namespace("/proc/self/ns/mnt")))
    assert await forwarder.targets() == {}


async def test_another_user_is_refused(forwarder: Forwarder, tmp_path: Path) -> None:
    script = (
        "import os, socket, sys\n"
        "control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "os.setresuid(0, 65534, 0)\n"
        "os.setresgid(0, 0, 0)\n"
        "control.connect(sys.argv[1])\n"
        "print(len(control.recv(100)))\n"
    )
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o711)
    (tmp_path / "forward.sock").chmod(0o666)
    command = [sys.executable, "-c", script, str(tmp_path / "forward.sock")]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)

    assert done.stdout == b"0\n" or b"ConnectionReset" in done.stderr or b"BrokenPipe" in done.stderr


async def test_a_socket_that_is_not_what_was_said_is_refused(forwarder: Forwarder) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(NetworkError, match="Invalid"):
        await forwarder._ask("serve it", wire.add_port(*port, ()), server.fileno())
    assert await forwarder.ports() == {}


GOOD = (
    wire.ask_hello(),
    wire.ask_port(0),
    wire.ask_target(0),
    wire.add_port(*free_port(), [("one", 80)]),
    wire.remove_port(*free_port()),
    wire.set_ends(*free_port(), [("one", 80), ("two", 81)]),
    wire.put_target("one", 65534, 65534, None, None),
    wire.remove_target("one"),
)


def spoil(chance: random.Random, message: bytes) -> bytes:
    spoilt = bytearray(message)
    for _ in range(chance.randrange(4)):
        spoilt[chance.randrange(len(spoilt)) if chance.random() < 0.5 else chance.randrange(60)] = (
            chance.randrange(256)
        )
    if chance.random() < 0.3:
        del spoilt[chance.randrange(len(spoilt)) :]
    if chance.random() < 0.1:
        spoilt += bytes(chance.randrange(5000))
    return bytes(spoilt)


async def test_messages_that_make_no_sense_do_no_harm(
    forwarder: Forwarder, tmp_path: Path, place: Place
) -> None:
    """Each is refused or its sender is disconnected; descriptors that came along do not stay open."""
    chance = random.Random(5)
    [process] = forwarders(tmp_path)
    before = len(os.listdir(f"/proc/{process}/fd"))

    def send_all() -> None:
        for _ in range(2000):
            message = spoil(chance, chance.choice(GOOD))
            if int.from_bytes(message[6:8], "little") == 2:
                continue  # a good request to stop
            control = find_forwarder(tmp_path)
            assert control
            with control, open("/dev/null") as null:
                control.settimeout(SECONDS)
                descriptors = [null.fileno()] * chance.choice((0, 0, 1, 2, 3, 40))
                with suppress(ConnectionResetError, BrokenPipeError):
                    socket.send_fds(control, [message], descriptors)
                    control.recv(wire.ANSWER_SIZE)

    await trio.to_thread.run_sync(send_all)
    assert await forwarder.ports() == {}
    assert await forwarder.targets() == {}
    await until(lambda: len(os.listdir(f"/proc/{process}/fd")) == before)
    await forwarder.attach(place.target)


async def test_one_of_another_version_is_ended_when_nobody_needs_it(
    forwarder: Forwarder, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    assert await forwarder.synchronise({port: [place.at()]}, [place.target]) == {}
    [process] = forwarders(tmp_path)

    def be_newer() -> None:
        monkeypatch.setattr(wire, "VERSION", wire.VERSION + 1)

    be_newer()
    with serving(place.namespace, echo), await trio.to_thread.run_sync(connect, port) as client:
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        with pytest.raises(NetworkError, match="another version of kwhost, and 1 connections"):
            await Forwarder.open(tmp_path)
    monkeypatch.undo()
    await forwarder.detach(place.target.instance)
    be_newer()
    assert await Forwarder.find(tmp_path) is None
    await until(lambda: not is_running(process))
