"""`refuse_nf_tables.py COMMAND...`: runs a command on what looks like a kernel without nf_tables.

A filter of system calls refuses the sockets of netfilter, as a kernel does that lacks it.
"""

import ctypes
import errno
import os
import struct
import sys

_PR_SET_SECCOMP, _FILTER = 22, 2
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FAMILY, _PROTOCOL = 0, 16, 32  # in struct seccomp_data
_SOCKET, _AF_NETLINK, _NETLINK_NETFILTER = 41, 16, 12
_ALLOW, _ERROR = 0x7FFF_0000, 0x0005_0000
_PROGRAM = (
    (_LOAD, 0, 0, _NUMBER),
    (_JUMP_EQUAL, 0, 5, _SOCKET),
    (_LOAD, 0, 0, _FAMILY),
    (_JUMP_EQUAL, 0, 3, _AF_NETLINK),
    (_LOAD, 0, 0, _PROTOCOL),
    (_JUMP_EQUAL, 0, 1, _NETLINK_NETFILTER),
    (_RETURN, 0, 0, _ERROR | errno.EPROTONOSUPPORT),
    (_RETURN, 0, 0, _ALLOW),
)


def main(command: list[str]) -> None:
    code = b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM)
    lines = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(lines))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(program, len(program)), 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
