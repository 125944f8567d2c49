"""`refuse_namespaces.py KIND COMMAND...`: runs a command where no namespaces can be made.

`container`: as root of a plain container is, with the capabilities and much of the filter of system calls
that container engines give by default; `remapped`: likewise of one that has 65536 ids. `user`: as user 1000,
in a user namespace in which the kernel's own limit allows no further one; outside that is who runs this, so
that the files of root are the user's own. With `-without-landlock` behind it the kernel has no Landlock.
"""

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

_PR_SET_SECCOMP, _FILTER, _PR_CAPBSET_DROP = 22, 2, 24
_LOAD, _JUMP_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16  # in struct seccomp_data
_ALLOW, _ERROR = 0x7FFF_0000, 0x0005_0000
_CLONE, _CLONE3, _NAMESPACES = 56, 435, 0x7E02_0000
_CLONE_NEWUSER = 0x1000_0000
_LANDLOCK = (444, 445, 446)  # landlock_create_ruleset, landlock_add_rule, landlock_restrict_self
# mount, umount2, pivot_root, unshare, setns, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick,
# mount_setattr, pidfd_getfd, bpf, perf_event_open, keyctl, open_by_handle_at
_REFUSED = (165, 166, 155, 272, 308, 428, 429, 430, 431, 432, 433, 442, 438, 321, 298, 250, 304)
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT,
# MKNOD, AUDIT_WRITE, SETFCAP
_KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
_LAST_CAPABILITY = 40
_CAPABILITY_VERSION = 0x2008_0522
_CAPSET = 126

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result < 0:
        sys.exit(os.strerror(ctypes.get_errno()))


def _refuse(*refused: tuple[tuple[int, ...], int], namespaces: bool = False) -> None:
    """Set a filter that answers calls with an error each: numbers, errno; and clone with new `namespaces`."""
    lines = [(_LOAD, 0, 0, _NUMBER)]
    for numbers, error in refused:
        for number in numbers:
            lines += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]
    if namespaces:
        lines += [
            (_JUMP_EQUAL, 0, 3, _CLONE),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_JUMP_BITS, 0, 1, _NAMESPACES),
            (_RETURN, 0, 0, _ERROR | errno.EPERM),
        ]
    code = b"".join(struct.pack("=HBBI", *line) for line in [*lines, (_RETURN, 0, 0, _ALLOW)])
    memory = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(memory))
    _check(_libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(program, len(program)), 0, 0))


def _become_container() -> None:
    _refuse((_REFUSED, errno.EPERM), ((_CLONE3,), errno.ENOSYS), namespaces=True)
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _KEPT:
            _check(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0))
    kept = sum(1 << capability for capability in _KEPT)
    header, sets = struct.pack("=Ii", _CAPABILITY_VERSION, 0), struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    _check(_libc.syscall(_CAPSET, header, sets))


def _enter_user_namespace(users: str, groups: str) -> None:
    """A child, which has the rights of before, writes the maps."""
    ready, mapped = os.pipe(), os.pipe()
    parent = os.getpid()
    if not os.fork():
        os.read(ready[0], 1)
        Path(f"/proc/{parent}/uid_map").write_text(users)
        Path(f"/proc/{parent}/gid_map").write_text(groups)
        os.write(mapped[1], b"1")
        os._exit(0)
    _check(_libc.unshare(_CLONE_NEWUSER))
    os.write(ready[1], b"1")
    os.read(mapped[0], 1)
    os.wait()
    for end in (*ready, *mapped):
        os.close(end)


def _become_user() -> None:
    users, groups = f"1000 {os.geteuid()} 1", f"1000 {os.getegid()} 1"
    os.setgroups([])
    _enter_user_namespace(users, groups)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def main(kind: str, command: list[str]) -> None:
    kind, _, lacking = kind.partition("-")
    if lacking:
        _refuse((_LANDLOCK, errno.ENOSYS))
    match kind:
        case "container":
            _become_container()
        case "remapped":
            _enter_user_namespace("0 0 65536", "0 0 65536")
            _become_container()
        case "user":
            _become_user()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
