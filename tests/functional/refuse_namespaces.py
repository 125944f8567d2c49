"""`refuse_namespaces.py container|user COMMAND...`: runs a command where no namespaces can be made.

`container`: as root of a plain container is, with the capabilities and much of the filter of system calls
that container engines give by default. `user`: as user 1000, in a user namespace in which the kernel's own
limit allows no further one; outside that is who runs this, so that the files of root are the user's own.
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


def _filter() -> bytes:
    refuse = [(_JUMP_EQUAL, 0, 1, number) for number in _REFUSED]
    lines = [(_LOAD, 0, 0, _NUMBER)]
    for line in refuse:
        lines += [line, (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    lines += [
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_JUMP_EQUAL, 0, 3, _CLONE),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_BITS, 0, 1, _NAMESPACES),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _become_container() -> None:
    code = _filter()
    lines = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(lines))
    _check(_libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(program, len(program)), 0, 0))
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _KEPT:
            _check(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0))
    kept = sum(1 << capability for capability in _KEPT)
    header, sets = struct.pack("=Ii", _CAPABILITY_VERSION, 0), struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    _check(_libc.syscall(_CAPSET, header, sets))


def _become_user() -> None:
    owners = {
        kind: f"1000 {number} 1" for kind, number in (("uid_map", os.geteuid()), ("gid_map", os.getegid()))
    }
    _check(_libc.unshare(_CLONE_NEWUSER))
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    Path("/proc/self/setgroups").write_text("deny")
    for kind, line in owners.items():
        Path(f"/proc/self/{kind}").write_text(line)


def main(kind: str, command: list[str]) -> None:
    _become_container() if kind == "container" else _become_user()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
