"""The resolver: how long a question about an instance takes, and how much memory the process has."""

import ctypes
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trio

from benchmarks.bench import KWHOST, Bench
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Series, Unit
from benchmarks.processes import proportional_size
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.net.addresses import Pool, assign_addresses, gateway
from kwhost.net.names import owner_of
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.resolving import Resident, Resolver, Zone, Zones
from kwhost.net.wishes import Namespace, namespace_of_descriptor

__all__ = ["measure_names"]

_CLONE_NEWNET = 0x4000_0000
_SUBNET = Pool().subnet(0)
_NAMES = [InstanceName(f"instance-{number}") for number in range(200)]
_ADDRESSES = assign_addresses(_SUBNET, _NAMES)
# Each instance asks so often, all at the same time: fewer than what it may ask a second.
_QUESTIONS = 50
_ALONE = 400
_QUESTION = b"\0\1\1\0\0\1\0\0\0\0\0\0\x0cinstance-100\0\0\1\0\1"


@contextmanager
def _namespace() -> Iterator[Namespace]:
    """One of its own, where the gateway and all instances are addresses of the loopback interface."""
    descriptors: list[int] = []

    def make() -> None:
        if ctypes.CDLL(None).unshare(_CLONE_NEWNET):
            return
        with open_session() as session:
            session.link("set", index=1, state="up")
            for address in (gateway(_SUBNET.net4), *(one for one, _ in _ADDRESSES.values())):
                session.addr("add", index=1, address=str(address), prefixlen=32)
        descriptors.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not descriptors:
        raise NotMeasurable("network namespaces need root")
    try:
        yield namespace_of_descriptor(descriptors[0])
    finally:
        os.close(descriptors[0])


def _zones() -> Zones:
    residents = (
        Resident(name=name, address4=address4, address6=address6)
        for name, (address4, address6) in _ADDRESSES.items()
    )
    zone = Zone(tenant=TenantName("bench"), subnet=_SUBNET, residents=tuple(residents))
    return Zones(owner=owner_of("/bench"), zones=(zone,))


def _asking(namespace: Namespace, name: InstanceName) -> socket.socket:
    made = run_inside(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    made.settimeout(5)
    made.bind((str(_ADDRESSES[name][0]), 0))
    made.connect((str(gateway(_SUBNET.net4)), 53))
    return made


def _alone(asking: socket.socket) -> Iterator[float]:
    for _ in range(_ALONE):
        begin = time.perf_counter_ns()
        asking.send(_QUESTION)
        answer = asking.recv(512)
        yield time.perf_counter_ns() - begin
        if answer[7] != 1:
            raise MeasurementError("the resolver does not know an instance")


def _together(asking: list[socket.socket]) -> float:
    """Nanoseconds for each question, while there is always another one waiting."""
    begin = time.perf_counter_ns()
    for _ in range(_QUESTIONS):
        for one in asking:
            one.send(_QUESTION)
        for one in asking:
            one.recv(512)
    return (time.perf_counter_ns() - begin) / _QUESTIONS / len(asking)


async def _measure(namespace: Namespace, directory: Path, rounds: int) -> list[Figure]:
    resolver = Resolver(directory, namespace=namespace)
    try:
        await resolver.publish(_zones())
        idle = float(proportional_size(await resolver.process()))
        with ExitStack() as closing:
            asking = [closing.enter_context(_asking(namespace, name)) for name in _NAMES]
            alone = tuple(await trio.to_thread.run_sync(lambda: list(_alone(asking[0]))))
            together = tuple([await trio.to_thread.run_sync(_together, asking) for _ in range(rounds)])
        used = float(proportional_size(await resolver.process()))
    finally:
        with trio.CancelScope(shield=True):
            await resolver.stop()
    return [
        Figure(group="names", name="a question, one at a time", ours=Series(KWHOST, alone)),
        Figure(group="names", name="a question among 200 at once", ours=Series(KWHOST, together)),
        Figure(group="names", name="the resolver, idle", ours=Series(KWHOST, (idle,)), unit=Unit.BYTES),
        Figure(group="names", name="the resolver, after it", ours=Series(KWHOST, (used,)), unit=Unit.BYTES),
    ]


def measure_names(bench: Bench) -> list[Figure]:
    """Over UDP in a network namespace, as root."""
    if os.geteuid() != 0:
        raise NotMeasurable("network namespaces need root")
    with _namespace() as namespace, tempfile.TemporaryDirectory(prefix="kwhost-names-") as directory:
        try:
            return trio.run(_measure, namespace, Path(directory), bench.rounds)
        except TimeoutError as error:
            raise MeasurementError("the resolver does not answer") from error
