"""Encodes launch records, which `supervise` reads (struct kw_launch)."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import LaunchError
from kwhost.core.model.instance import Identity, LaunchPlan, TerminalSize
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

if TYPE_CHECKING:
    from kwhost.core.model.taps import Tap

__all__ = ["POLICY_SIZE", "LaunchFds", "encode_exec", "encode_launch"]

# What the descriptor of a policy has in it.
POLICY_SIZE: int = ffi.sizeof("struct kw_policy")

# As the kernel's own limits on execve: one string, and all of them with the usual 8 MiB of stack.
_STRING_MAX = 128 * 1024
_ARGUMENTS_MAX = 2 * 1024 * 1024
_RECORD_MAX = 16 * 1024 * 1024


class LaunchFds(NamedTuple):
    """Descriptors of the process that reads the record; -1: none.

    `kvm`: without it there is no virtual machine. `counted_cgroup`: one of `guest_cgroups`, whose limit on
    processes counts the instance's own alone. `attached`: its descriptors 0 to 2 are a hosted instance's
    first attachment, which loses nothing: the program waits for it.
    """

    control: int
    lifeline: int
    kvm: int
    stats: int
    lease: int = -1
    listen: int = -1
    log_dir: int = -1
    exit: int = -1
    cgroups: tuple[int, ...] = ()
    guest_cgroups: tuple[int, ...] = ()
    counted_cgroup: int = -1
    ceiling: int = -1
    policy: int = -1
    learn: int = -1
    netns: int = -1
    secrets: int = -1
    taps: "tuple[Tap, ...]" = ()
    attached: bool = False

    def inherited(self) -> tuple[int, ...]:
        """Every descriptor that the process has to be born with, standard streams aside."""
        single = (
            self.control,
            self.lifeline,
            self.kvm,
            self.stats,
            self.lease,
            self.listen,
            self.log_dir,
            self.exit,
            self.ceiling,
            self.policy,
            self.learn,
            self.netns,
            self.secrets,
        )
        queues = (fd for tap in self.taps for fd in tap.queues)
        return tuple(fd for fd in (*single, *self.cgroups, *self.guest_cgroups, *queues) if fd >= 0)


class _Blob:
    """Grows behind the header; every piece starts at a multiple of its alignment."""

    def __init__(self, start: int) -> None:
        self._parts = bytearray(start)

    def add(self, data: bytes, alignment: int = 1) -> int:
        self._parts.extend(bytes(-len(self._parts) % alignment))
        offset = len(self._parts)
        self._parts.extend(data)
        if len(self._parts) > _RECORD_MAX:
            raise LaunchError("the launch record would be larger than 16 MiB")
        return offset

    def text(self, text: str | None) -> int:
        """The offset of a NUL-terminated string; 0 for none."""
        if text is None:
            return 0
        data = os.fsencode(text)
        if b"\0" in data:
            raise LaunchError(f"{text!r} contains a NUL character")
        if len(data) >= _STRING_MAX:
            raise LaunchError(f"an argument or variable of {len(data)} bytes is too long", 125)
        return self.add(data + b"\0")

    def texts(self, texts: list[str]) -> int:
        """The offset of an array of string offsets."""
        size = sum(len(os.fsencode(text)) + 1 for text in texts)
        if size > _ARGUMENTS_MAX:
            raise LaunchError(f"arguments or environment of {size} bytes are too long", 125)
        offsets = [self.text(text) for text in texts]
        return self.add(bytes(ffi.buffer(ffi.new("uint32_t[]", offsets))), 4)

    def finish(self, header: bytes) -> bytes:
        self._parts[: len(header)] = header
        return bytes(self._parts)


@cache
def _kind_number(kind: MountKind) -> int:
    return int(getattr(lib, f"KW_MOUNT_{kind.name}"))


@cache
def _flags_number(flags: MountFlag) -> int:
    return sum(int(getattr(lib, f"KW_MOUNT_{flag.name}")) for flag in MountFlag if flag in flags)


def _mounts(blob: _Blob, mounts: tuple[Mount, ...]) -> int:
    array = ffi.new("struct kw_mount[]", len(mounts))
    for place, mount in zip(array, mounts, strict=True):
        place.kind = _kind_number(mount.kind)
        place.flags = _flags_number(mount.flags)
        place.source_offset = blob.text(mount.source)
        place.target_offset = blob.text(mount.target)
        place.data_offset = blob.text(mount.data)
        place.mode = mount.mode
    return blob.add(bytes(ffi.buffer(array)), 8)


def _taps(blob: _Blob, taps: "tuple[Tap, ...]") -> int:
    if len(taps) > lib.KW_TAPS_MAX:
        raise LaunchError(f"{len(taps)} taps are more than {lib.KW_TAPS_MAX}")
    array = ffi.new("struct kw_tap[]", len(taps))
    for place, tap in zip(array, taps, strict=True):
        count = len(tap.queues)
        if not 1 <= count <= lib.KW_TAP_QUEUES_MAX:
            raise LaunchError(f"the tap {tap.name} has {count} queues, and not 1 to {lib.KW_TAP_QUEUES_MAX}")
        place.name = os.fsencode(tap.name)
        place.mac = bytes.fromhex(tap.mac.replace(":", ""))
        place.header_size, place.mtu, place.queue_count = tap.header_size, tap.mtu, count
        place.queue_fds = [*tap.queues, *[-1] * (lib.KW_TAP_QUEUES_MAX - count)]
        place.prefix4, place.prefix6 = tap.address4.network.prefixlen, tap.address6.network.prefixlen
        place.address4, place.gateway4 = tap.address4.packed, tap.gateway4.packed
        place.address6, place.gateway6 = tap.address6.packed, tap.gateway6.packed
    return blob.add(bytes(ffi.buffer(array)), 8)


def _flags(plan: LaunchPlan, fds: LaunchFds) -> int:
    flags = 0
    for wanted, flag in (
        (plan.terminal is not None, lib.KW_LAUNCH_TTY),
        (plan.interactive, lib.KW_LAUNCH_STDIN),
        (plan.init, lib.KW_LAUNCH_INIT),
        (plan.read_only, lib.KW_LAUNCH_READ_ONLY),
        (plan.rootless, lib.KW_LAUNCH_ROOTLESS),
        (plan.hosted, lib.KW_LAUNCH_HOSTED),
        (fds.attached, lib.KW_LAUNCH_ATTACHED),
        (plan.waits_for_network, lib.KW_LAUNCH_NETWORK),
        (fds.kvm < 0, lib.KW_LAUNCH_PROCESS),
        (plan.bare, lib.KW_LAUNCH_BARE),
    ):
        flags |= flag if wanted else 0
    return flags


def _new_header(identity: Identity, terminal: TerminalSize | None, started_ns: int) -> Any:  # of cffi
    """A header that names no descriptor."""
    if len(identity.groups) > lib.KW_GROUPS_MAX:
        raise LaunchError(f"{len(identity.groups)} supplementary groups are more than {lib.KW_GROUPS_MAX}")
    header = ffi.new("struct kw_launch *")
    header.magic, header.version = lib.KW_LAUNCH_MAGIC, lib.KW_ABI_VERSION
    header.uid, header.gid = identity.uid, identity.gid
    header.group_count = len(identity.groups)
    header.groups[0 : header.group_count] = list(identity.groups)
    if terminal:
        header.tty_rows = min(terminal.rows, 0xFFFF)
        header.tty_columns = min(terminal.columns, 0xFFFF)
    header.started_ns = started_ns
    _set_fds(header, LaunchFds(control=-1, lifeline=-1, kvm=-1, stats=-1))
    return header


def _set_fds(header: Any, fds: LaunchFds) -> None:
    header.control_fd, header.lifeline_fd = fds.control, fds.lifeline
    header.kvm_fd, header.stats_fd, header.lease_fd = fds.kvm, fds.stats, fds.lease
    header.listen_fd, header.log_dir_fd, header.exit_fd = fds.listen, fds.log_dir, fds.exit
    header.ceiling_fd, header.policy_fd, header.learn_fd = fds.ceiling, fds.policy, fds.learn
    header.netns_fd, header.secrets_fd = fds.netns, fds.secrets
    for field, cgroups in ((header.cgroup_fds, fds.cgroups), (header.guest_cgroup_fds, fds.guest_cgroups)):
        if len(cgroups) > lib.KW_CGROUPS_MAX:
            raise LaunchError(f"{len(cgroups)} cgroups are more than {lib.KW_CGROUPS_MAX}")
        field[0 : lib.KW_CGROUPS_MAX] = [*cgroups, *[-1] * (lib.KW_CGROUPS_MAX - len(cgroups))]
    if fds.counted_cgroup >= 0:
        header.counted_cgroup = 1 + fds.guest_cgroups.index(fds.counted_cgroup)


def _set_program(
    header: Any, blob: _Blob, argv: Sequence[str], environment: Mapping[str, str], workdir: str
) -> None:
    header.argc, header.argv_offset = len(argv), blob.texts(list(argv))
    variables = [f"{key}={value}" for key, value in environment.items()]
    header.envc, header.env_offset = len(variables), blob.texts(variables)
    header.workdir_offset = blob.text(workdir)


def _finish(header: Any, blob: _Blob) -> bytes:
    header.size = len(blob.finish(b""))
    return blob.finish(bytes(ffi.buffer(header)))


def encode_launch(plan: LaunchPlan, fds: LaunchFds, started_ns: int) -> bytes:
    """The record's bytes; raises LaunchError where the plan does not fit the format."""
    header = _new_header(plan.identity, plan.terminal, started_ns)
    blob = _Blob(ffi.sizeof("struct kw_launch"))
    header.flags = _flags(plan, fds)
    header.name = os.fsencode(plan.name)
    header.host_uid_base, header.host_gid_base = plan.ids.uid_base, plan.ids.gid_base
    header.id_count = plan.ids.size
    header.mount_count, header.mounts_offset = len(plan.mounts), _mounts(blob, plan.mounts)
    if fds.taps:
        header.tap_count, header.taps_offset = len(fds.taps), _taps(blob, fds.taps)
    _set_program(header, blob, plan.argv, plan.environment, plan.workdir)
    header.nofile = plan.nofile
    header.log_size, header.log_files = plan.log.size, plan.log.files
    header.pids_limit, header.memory_limit = plan.limits.pids, plan.limits.memory
    header.resident_limit = plan.limits.resident
    _set_fds(header, fds)
    return _finish(header, blob)


def encode_exec(  # noqa: PLR0913 - a record's fields
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    workdir: str,
    identity: Identity,
    terminal: TerminalSize | None,
    interactive: bool,
    started_ns: int,
) -> bytes:
    """The record of a further process for a running instance; the rest is the instance's own.

    `interactive`: standard input is connected. Raises LaunchError like `encode_launch`.
    """
    header = _new_header(identity, terminal, started_ns)
    blob = _Blob(ffi.sizeof("struct kw_launch"))
    header.flags = (
        lib.KW_LAUNCH_EXEC
        | (lib.KW_LAUNCH_TTY if terminal else 0)
        | (lib.KW_LAUNCH_STDIN if interactive else 0)
    )
    header.mounts_offset = blob.add(b"", 8)
    _set_program(header, blob, argv, environment, workdir)
    return _finish(header, blob)
