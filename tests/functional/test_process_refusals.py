"""What the engine `process` refuses, and what only the way to a program may do, whatever a policy permits."""

from pathlib import Path

import pytest

from tests.conftest import RunKwhost

PROCESS = ("--engine", "process", "--isolation", "process")
# A call by number and arguments; prints 0 or the name of the error.
CALL = """
import ctypes, errno, sys
call = ctypes.CDLL(None, use_errno=True).syscall
arguments = [ctypes.c_ulong(int(text)) for text in sys.argv[2:]]
print(0 if call(int(sys.argv[1]), *arguments) >= 0 else errno.errorcode[ctypes.get_errno()])
"""
EXECVEAT = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
program = os.open("/bin/true", os.O_PATH)
arguments = (ctypes.c_char_p * 2)(b"true", None)
libc.syscall(322, program, ctypes.c_char_p(b""), arguments, None, 0x1000)
print(errno.errorcode[ctypes.get_errno()])
"""


def policy(folder: Path, syscalls: str) -> str:
    file = folder / "own.toml"
    file.write_text(f'base = "default"\nsyscalls = {{ {syscalls} }}\n')
    return str(file)


@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        ("ptrace", (101, 0), "EPERM"),
        ("clone3", (435, 0, 0), "ENOSYS"),
        ("seccomp", (317, 2, 0, 0), "ENOSYS"),
        ("arch_prctl", (158, 0x1012, 0), "EINVAL"),
        ("ioctl", (16, 0, 0x4C00), "ENOTTY"),
    ],
)
def test_the_engine_s_refusals_hold_where_the_broker_is_asked(
    run_kwhost: RunKwhost, tmp_path: Path, call: str, arguments: tuple[int, ...], error: str
) -> None:
    named = policy(tmp_path, f'log = ["{call}"]')

    done = run_kwhost([*PROCESS, "--policy", named, "--", "python3", "-c", CALL, *map(str, arguments)])

    assert (done.stdout, done.returncode) == (f"{error}\n", 0)


def test_no_execve_but_the_launch_s_own_goes_without_the_policy(
    run_kwhost: RunKwhost, tmp_path: Path
) -> None:
    named = policy(tmp_path, 'deny = ["execveat"]')

    done = run_kwhost([*PROCESS, "--policy", named, "--", "python3", "-c", EXECVEAT])

    assert done.stdout == "EPERM\n"
