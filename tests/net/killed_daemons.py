"""Attaches and detaches an instance as a daemon does, is killed before each of its steps, and looks at what
the next daemon makes of it. To be run in a network namespace of its own; says how many steps there were.

Each daemon is a process; what a real one knows from its store and from `supervise` is in two files.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import dns.message
import msgspec
import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.daemon import tenant_networks
from kwhost.core.daemon.networks import DaemonNetworks
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import InstanceAddresses, PublishedPort, TenantNetwork, Transport
from kwhost.core.model.status import InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.net import applying, forwarder, resolving
from kwhost.net.forwarder import Forwarder
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.resolving import Resolver
from kwhost.net.wishes import Wishes
from kwhost.testing import make_definition, make_tenant
from tests.net.daemon_ports import map_ids
from tests.patience import SECONDS

FIRST_UID = 0x7200_0000
GREETER = """
import socket
listener = socket.create_server(("", 80))
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello")
    connection.close()
"""
PORTS = (
    PublishedPort(port=8080, target=80),
    PublishedPort(port=8081, target=80, address=""),
    PublishedPort(port=8080, target=80, transport=Transport.UDP),
)
TENANT = make_tenant(network=TenantNetwork())
DEFINITION = make_definition(ports=PORTS, network="tenant")
RECORD = InstanceRecord(
    id=InstanceId("0123456789ab"),
    tenant=DEFINITION.tenant,
    name=DEFINITION.name,
    definition=DEFINITION,
    state=InstanceState.RUNNING,
    desired="running",
    created=0.0,
)


class Place:
    """The directories, with what outlives a daemon."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run_dir, self.state_dir = directory / "run", directory / "state"
        self.run_dir.mkdir()
        self.host = HostConfig(state_dir=self.state_dir, run_dir=self.run_dir, api=self.run_dir / "api.sock")
        self.owner = owner_of(str(self.state_dir))
        self._addresses, self._pid = directory / "addresses", directory / "pid"

    def keep(self, addresses: InstanceAddresses) -> InstanceRecord:
        self._addresses.write_bytes(msgspec.json.encode(addresses))
        return self.records()[0]

    def records(self) -> tuple[InstanceRecord, ...]:
        if not self._addresses.exists():
            return ()
        addresses = msgspec.json.decode(self._addresses.read_bytes(), type=InstanceAddresses)
        return (replace(RECORD, addresses=addresses),)

    def start(self, namespace: int) -> int:
        """The instance's process."""
        enter = ["nsenter", f"--net=/proc/self/fd/{namespace}", "unshare", "-U"]
        process = subprocess.Popen(
            [*enter, sys.executable, "-S", "-c", GREETER],
            pass_fds=[namespace],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._pid.write_text(str(process.pid))
        map_ids(process.pid, FIRST_UID)
        return process.pid

    def running(self) -> int | None:
        """The instance's process, if it is there."""
        with suppress(FileNotFoundError):
            pid = int(self._pid.read_text())
            if Path(f"/proc/{pid}/ns/net").exists():
                return pid
        return None

    def end(self) -> None:
        """The instance ends, and nobody knows of it any more."""
        if pid := self.running():
            os.kill(pid, signal.SIGKILL)
            until(lambda: self.running() is None)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def forget(self) -> None:
        for file in (self._addresses, self._pid):
            file.unlink(missing_ok=True)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def daemon_of(place: Place, records: Iterable[InstanceRecord]) -> DaemonNetworks:
    async def uplinks(*_: object) -> tuple[()]:
        return ()

    async def tell(text: str) -> None:
        raise AssertionError(text)

    networks = DaemonNetworks(place.host, dict, uplinks, lambda _: None, tell)
    known = tuple(records)
    networks.records = lambda: known
    return networks


async def live(place: Place, limit: int) -> None:
    """A daemon that attaches an instance, and detaches it."""
    networks = daemon_of(place, ())
    async with trio.open_nursery() as nursery:
        networks.expect(())
        nursery.start_soon(networks.run, ())
        count_steps(limit)
        addresses = await networks.plan(RECORD, TENANT)
        assert addresses
        record = place.keep(addresses)
        attached = await networks.attach(record, TENANT)
        pid = place.start(attached.namespace)
        await networks.running(record.id, pid)
        await networks.serve(record.id, healthy=False)
        place.end()
        await networks.detach(record)
        await networks.finish()
        nursery.cancel_scope.cancel()


async def live_on(place: Place) -> None:
    """The next daemon: whatever was begun, it is all there, or nothing is; and afterwards nothing is."""
    records, pid = place.records(), place.running()
    networks = daemon_of(place, records)
    async with trio.open_nursery() as nursery:
        networks.expect([RECORD.id] if pid else ())
        nursery.start_soon(networks.run, records)
        if pid:
            await networks.adopt(records[0], TENANT, pid)
            await networks.running(RECORD.id, pid)
        await networks._settled.wait()
        if pid:
            await check_all_is_there(place, networks, records[0])
        place.end()
        for record in records:
            await networks.detach(record)
        await networks.finish()
        nursery.cancel_scope.cancel()
    check_nothing_is_left(place)
    place.forget()


async def check_all_is_there(place: Place, networks: DaemonNetworks, record: InstanceRecord) -> None:
    assert record.addresses
    made = networks._tenants
    assert made._network._host.steps(made._network.wishes) == ()
    assert len(made._network.wishes.attachments) == 1
    found = await Forwarder.find(place.run_dir)
    assert found
    states = await found.targets()
    assert [state.alive for state in states.values()] == [True]
    assert len(await found.ports()) == 4
    found.close()
    for called in (("127.0.0.1", 8080), ("127.0.0.1", 8081), (record.addresses.address4, 80)):
        await trio.to_thread.run_sync(until, partial(answers, *called))
    gateway = record.addresses.subnet4.rpartition(".")[0] + ".1"
    assert await trio.to_thread.run_sync(resolve, gateway) == record.addresses.address4


def answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 1) as connection:
            return connection.recv(10) == b"hello"
    except OSError:
        return False


def resolve(gateway: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SECONDS)
        asking.sendto(dns.message.make_query(RECORD.name, "A").to_wire(), (gateway, 53))
        return str(dns.message.from_wire(asking.recv(4096)).answer[0][0])


def check_nothing_is_left(place: Place) -> None:
    with open_session() as session:
        links = {str(message.get_attr("IFLA_IFNAME")) for message in session.get_links()}
    assert not {link for link in links if link.startswith("kw")}, links
    assert json.loads(Nft().run("list tables"))["nftables"][1:] == []
    assert HostNetwork(place.owner).steps(Wishes(owner=place.owner)) == ()
    left = sorted(path.name for path in place.run_dir.iterdir())
    assert left == [], left


def count_steps(limit: int) -> None:
    """Be killed before so many steps."""
    steps = count(1)

    def step() -> None:
        if next(steps) == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            step()
            return function(*arguments, **options)

        return call

    for kind, action in tuple(applying._ACTIONS.items()):
        applying._ACTIONS[kind] = stepping(action)  # type: ignore[index]
    places: tuple[tuple[Any, str], ...] = (
        (applying, "_change_tables"),
        (tenant_networks, "new_namespace"),
        (forwarder, "start_forwarder"),
        (resolving, "start_process"),
        (Forwarder, "_exchange"),
        (Resolver, "_exchange"),
        (Resolver, "_hand_over"),
        (Place, "keep"),
        (Place, "start"),
        (Place, "end"),
    )
    for owner, name in places:
        setattr(owner, name, stepping(getattr(owner, name)))


def in_child(work: Callable[..., Awaitable[None]], *arguments: object) -> bool:
    """Whether it came to its end; False where it was killed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            trio.run(work, *arguments)
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert status == 0, f"{work.__name__}{arguments[1:]} failed"
    return True


def main(directory: Path) -> None:
    with open_session() as session:
        session.link("set", index=1, state="up")
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", setting).write_text("1")
    place = Place(directory)
    for limit in count(1):
        finished = in_child(live, place, limit)
        if finished:
            place.forget()
            check_nothing_is_left(place)
            sys.stdout.write(str(limit - 1))
            return
        assert in_child(live_on, place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
