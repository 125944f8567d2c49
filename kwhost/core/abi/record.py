"""Encodes a launch plan as the launch record that `supervise` reads (struct kw_launch)."""

import os
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import LaunchError
from kwhost.core.model.instance import LaunchPlan
from kwhost.core.model.mounts import Mount, MountFlag

__all__ = ["LaunchFds", "encode_launch"]

# As the kernel's own limits on execve: one string, and all of them with the usual 8 MiB of stack.
_STRING_MAX = 128 * 1024
_ARGUMENTS_MAX = 2 * 1024 * 1024
_RECORD_MAX = 16 * 1024 * 1024


class LaunchFds(NamedTuple):
    """Descriptors of the process that reads the record."""

    control: int
    lifeline: int
    kvm: int
    stats: int
    lease: int = -1


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


def _mounts(blob: _Blob, mounts: tuple[Mount, ...]) -> int:
    array = ffi.new("struct kw_mount[]", len(mounts))
    for place, mount in zip(array, mounts, strict=True):
        place.kind = getattr(lib, f"KW_MOUNT_{mount.kind.name}")
        place.flags = sum(getattr(lib, f"KW_MOUNT_{flag.name}") for flag in MountFlag if flag in mount.flags)
        place.source_offset = blob.text(mount.source)
        place.target_offset = blob.text(mount.target)
        place.data_offset = blob.text(mount.data)
        place.mode = mount.mode
    return blob.add(bytes(ffi.buffer(array)), 8)


def _flags(plan: LaunchPlan) -> int:
    flags = 0
    for wanted, flag in (
        (plan.terminal is not None, lib.KW_LAUNCH_TTY),
        (plan.interactive, lib.KW_LAUNCH_STDIN),
        (plan.init, lib.KW_LAUNCH_INIT),
        (plan.read_only, lib.KW_LAUNCH_READ_ONLY),
        (plan.rootless, lib.KW_LAUNCH_ROOTLESS),
    ):
        flags |= flag if wanted else 0
    return flags


def encode_launch(plan: LaunchPlan, fds: LaunchFds, started_ns: int) -> bytes:
    """The record's bytes; raises LaunchError where the plan does not fit the format."""
    groups = plan.identity.groups
    if len(groups) > lib.KW_GROUPS_MAX:
        raise LaunchError(f"{len(groups)} supplementary groups are more than {lib.KW_GROUPS_MAX}")
    header = ffi.new("struct kw_launch *")
    blob = _Blob(ffi.sizeof("struct kw_launch"))
    header.magic, header.version = lib.KW_LAUNCH_MAGIC, lib.KW_ABI_VERSION
    header.flags = _flags(plan)
    header.name = os.fsencode(plan.name)
    header.host_uid_base, header.host_gid_base = plan.ids.uid_base, plan.ids.gid_base
    header.id_count = plan.ids.size
    header.uid, header.gid = plan.identity.uid, plan.identity.gid
    header.group_count = len(groups)
    header.groups[0 : len(groups)] = list(groups)
    header.mount_count, header.mounts_offset = len(plan.mounts), _mounts(blob, plan.mounts)
    header.argc, header.argv_offset = len(plan.argv), blob.texts(list(plan.argv))
    environment = [f"{key}={value}" for key, value in plan.environment.items()]
    header.envc, header.env_offset = len(environment), blob.texts(environment)
    header.workdir_offset = blob.text(plan.workdir)
    if plan.terminal:
        header.tty_rows = min(plan.terminal.rows, 0xFFFF)
        header.tty_columns = min(plan.terminal.columns, 0xFFFF)
    header.nofile, header.started_ns = plan.nofile, started_ns
    header.control_fd, header.lifeline_fd = fds.control, fds.lifeline
    header.kvm_fd, header.stats_fd, header.lease_fd = fds.kvm, fds.stats, fds.lease
    header.size = len(blob.finish(b""))
    return blob.finish(bytes(ffi.buffer(header)))
