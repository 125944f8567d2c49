"""Starting `supervise` for one instance.

Standard streams, the launch record, the control socket, the lifeline, the KVM device and the statistics page
go to it as inherited descriptors. When this process ends, in whatever way, the kernel closes
the lifeline's write end, and `supervise` ends the instance.
"""

import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from kwhost.core.abi.learn_memory import LEARN_SIZE, new_learn_memory
from kwhost.core.abi.programs import program_path
from kwhost.core.abi.record import POLICY_SIZE, LaunchFds, encode_launch
from kwhost.core.abi.secrets import encode_secrets
from kwhost.core.abi.statistics_page import STATS_FILE_SIZE, new_statistics
from kwhost.core.engines.base import NO_POLICY, HostedEnds, Launched, PolicyFds
from kwhost.core.model.instance import LaunchPlan

__all__ = [
    "MONITOR_FDS",
    "ceiling_file",
    "launch_hosted",
    "launch_supervised",
    "monitor_path",
    "new_learn_file",
    "new_statistics_file",
    "policy_file",
    "sealed_record",
    "secrets_file",
]

# Descriptors, the highest, that the monitor keeps for itself in each process (OWN_FD_COUNT in base/own_fd.h).
MONITOR_FDS = 1280

_PAGE = 4096
_SEALS_STATS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_SEALS_RECORD = _SEALS_STATS | fcntl.F_SEAL_WRITE


def monitor_path() -> Path:
    """The monitor's executable. Raises HostError."""
    return program_path("kwhost-monitor", "the monitor")


def _write_at(fd: int, content: bytes, at: int) -> None:
    while content:
        done = os.pwrite(fd, content, at)
        content, at = content[done:], at + done


def _memory_file(name: str, content: bytes, seals: int, size: int = 0) -> int:
    """A sealed memfd with the content, and zeros up to the size; pages of zeros are holes."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for at in range(0, len(content), _PAGE):
            page = content[at : at + _PAGE]
            if page != bytes(len(page)):
                _write_at(fd, page, at)
        os.ftruncate(fd, max(size, len(content)))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def new_statistics_file() -> int:
    """A new statistics page, with room for what a policy counts and tells; the caller closes it."""
    return _memory_file("kwhost-stats", new_statistics(), _SEALS_STATS, STATS_FILE_SIZE)


def new_learn_file() -> int:
    """New memory to learn in; the caller closes it."""
    return _memory_file("kwhost-learn", new_learn_memory(), _SEALS_STATS, LEARN_SIZE)


def sealed_record(record: bytes) -> int:
    """A record as a file that nobody can change; the caller closes it."""
    return _memory_file("kwhost-launch", record, _SEALS_RECORD)


def policy_file(table: bytes) -> int:
    """A compiled policy, perhaps without the zeros at its end, as a file that nobody can change; the caller
    closes it."""
    return _memory_file("kwhost-policy", table, _SEALS_RECORD, POLICY_SIZE)


def ceiling_file(ceiling: bytes) -> int:
    """A compiled ceiling as a file that nobody can change; the caller closes it."""
    return _memory_file("kwhost-ceiling", ceiling, _SEALS_RECORD)


def secrets_file(contents: Mapping[str, bytes]) -> int:
    """Secrets, by their names, as a file that nobody can change; the caller closes it."""
    return _memory_file("kwhost-secrets", encode_secrets(contents), _SEALS_RECORD)


def launch_hosted(plan: LaunchPlan, ends: HostedEnds, kvm: int | None, lease: int) -> subprocess.Popen[bytes]:
    """Start the supervisor of an instance that is tied to nobody. `kvm`: see launch_supervised.
    The caller keeps its own descriptors."""
    started_ns = time.monotonic_ns()
    fds = LaunchFds(
        control=-1,
        lifeline=-1,
        kvm=-1 if kvm is None else kvm,
        stats=ends.stats,
        lease=lease,
        listen=ends.control,
        log_dir=ends.log_dir,
        exit=ends.exit,
        cgroups=ends.cgroups,
        guest_cgroups=ends.guest_cgroups,
        counted_cgroup=ends.counted_cgroup,
        ceiling=ends.policy.ceiling,
        policy=ends.policy.table,
        netns=ends.netns,
        secrets=ends.secrets,
        taps=ends.taps,
        attached=ends.stdio is not None,
    )
    stdin, stdout, stderr = (
        fd if fd >= 0 else subprocess.DEVNULL for fd in ends.stdio or (subprocess.DEVNULL,) * 3
    )
    record = sealed_record(encode_launch(plan, fds, started_ns))
    try:
        return subprocess.Popen(
            [monitor_path(), "supervise", str(record)],
            env={},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(record, *fds.inherited()),
        )
    finally:
        os.close(record)


def launch_supervised(
    plan: LaunchPlan, kvm: int | None, lease: int = -1, policy: PolicyFds = NO_POLICY, secrets: int = -1
) -> Launched:
    """Start the supervisor, which holds on to the ids' lease too. `kvm`: /dev/kvm, or no virtual machine.
    `secrets`: see base.Engine. The caller keeps its own descriptors."""
    started_ns = time.monotonic_ns()
    with ExitStack() as undo, ExitStack() as child_ends:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(ours.close)
        child_ends.callback(theirs.close)
        lifeline_read, lifeline_write = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, lifeline_write)
        child_ends.callback(os.close, lifeline_read)
        stats = new_statistics_file()
        undo.callback(os.close, stats)
        fds = LaunchFds(
            control=theirs.fileno(),
            lifeline=lifeline_read,
            kvm=-1 if kvm is None else kvm,
            stats=stats,
            lease=lease,
            ceiling=policy.ceiling,
            policy=policy.table,
            learn=policy.learn,
            secrets=secrets,
        )
        record = sealed_record(encode_launch(plan, fds, started_ns))
        child_ends.callback(os.close, record)
        process = subprocess.Popen(
            [monitor_path(), "supervise", str(record)],
            env={},
            pass_fds=(record, *fds.inherited()),
        )
        undo.pop_all()
        return Launched(process, ours, lifeline_write, stats, started_ns)
