"""A plugin with an engine that is given taps. Where an engine with a guest kernel has a virtual machine, this
one has a process that reads the launch record and drives the tap with a small network stack (tests.net.peer).
It lives on without the daemon as `supervise` does, runs no program, and obeys only who asks for its end."""

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kwhost.core.engines.base import HostedEnds
from kwhost.core.engines.id_ranges import IdLease
from kwhost.core.model.instance import Isolation, LaunchPlan
from kwhost.core.model.rules import EVERY_RULE
from kwhost.hookspecs import EngineOffer, hookimpl

QUEUES = 2


class TapEngine:
    def __init__(self, lease: IdLease) -> None:
        self._lease = lease

    def launch_hosted(self, plan: LaunchPlan, ends: HostedEnds) -> "subprocess.Popen[bytes]":
        from kwhost.core.abi.record import LaunchFds, encode_launch
        from kwhost.core.engines.launch import sealed_record

        fds = LaunchFds(
            control=-1,
            lifeline=-1,
            kvm=-1,
            stats=ends.stats,
            lease=self._lease.fd,
            listen=ends.control,
            exit=ends.exit,
            guest_cgroups=ends.guest_cgroups,
            taps=ends.taps,
        )
        record = sealed_record(encode_launch(plan, fds, time.monotonic_ns()))
        try:
            return subprocess.Popen(
                [sys.executable, __file__, str(record)],
                env={"PYTHONPATH": str(Path(__file__).parents[2])},
                stdin=subprocess.DEVNULL,
                pass_fds=(record, *fds.inherited()),
                start_new_session=True,
            )
        finally:
            os.close(record)


@hookimpl
def engines() -> tuple[EngineOffer, ...]:
    return (
        EngineOffer(
            name="direct",
            isolation=Isolation.VM,
            factory=TapEngine,
            enforces=EVERY_RULE,
            tap_queues=QUEUES,
        ),
    )


def _read(record: int) -> tuple[Any, Any]:
    """The header and the tap of a launch record; their memory lives as long as this process."""
    from kwhost.core.abi._abi import ffi

    content = ffi.from_buffer(os.pread(record, os.fstat(record).st_size, 0))
    header = ffi.cast("struct kw_launch *", content)
    assert header.tap_count == 1
    tap = ffi.new("struct kw_tap *")
    ffi.memmove(tap, content + header.taps_offset, ffi.sizeof("struct kw_tap"))
    copy = ffi.new("struct kw_launch *")
    ffi.memmove(copy, content, ffi.sizeof("struct kw_launch"))
    return copy, tap


def _obey(header: Any) -> None:
    """Greet whoever asks, until somebody wants the end."""
    from kwhost.core.abi._abi import ffi, lib

    listener = socket.socket(fileno=header.listen_fd)
    connections: list[socket.socket] = []
    while True:
        for ready in select.select([listener, *connections], [], [])[0]:
            if ready is listener:
                connections.append(listener.accept()[0])
                continue
            data = ready.recv(ffi.sizeof("struct kw_message"))
            if not data:
                connections.remove(ready)
                continue
            message = ffi.from_buffer("struct kw_message *", data)
            if message.type in (lib.KW_CONTROL_STOP, lib.KW_CONTROL_SIGNAL):
                return
            if message.type == lib.KW_CONTROL_HELLO:
                event = ffi.new("struct kw_message *")
                event.type, event.value, event.extra = lib.KW_EVENT_HELLO, 1, os.getpid()
                event.time_ns = header.started_ns
                socket.send_fds(ready, [bytes(ffi.buffer(event))], [header.stats_fd])


def _record_end(fd: int, started_ns: int) -> None:
    from kwhost.core.abi._abi import ffi, lib

    record = ffi.new("struct kw_exit *")
    record.magic, record.version = lib.KW_EXIT_MAGIC, lib.KW_ABI_VERSION
    record.size = ffi.sizeof("struct kw_exit")
    record.reason, record.started_ns, record.ended_ns = lib.KW_EXIT_EXITED, started_ns, time.time_ns()
    os.pwrite(fd, bytes(ffi.buffer(record)), 0)


def main(record: int) -> None:
    from ipaddress import IPv4Address, IPv6Address
    from threading import Thread

    from kwhost.net.names import Mac
    from tests.net.peer import Peer
    from tests.net.vnet import drive

    started_ns = time.time_ns()
    header, tap = _read(record)
    for fd in header.guest_cgroup_fds:
        if fd >= 0:
            os.write(fd, b"0")
    peer = Peer(
        Mac(bytes(tap.mac).hex(":")),
        IPv4Address(bytes(tap.address4)),
        IPv6Address(bytes(tap.address6)),
        tap.mtu,
    )
    stop, stopper = os.pipe()
    driver = Thread(target=drive, args=(peer, list(tap.queue_fds)[: tap.queue_count], stop))
    driver.start()
    try:
        _obey(header)
    finally:
        os.close(stopper)
        driver.join()
        _record_end(header.exit_fd, started_ns)


if __name__ == "__main__":
    main(int(sys.argv[1]))
