"""The built-in policies: `default` is what the monitor serves, `strict` and `web` are less."""

import errno
import re
from importlib import resources
from ipaddress import ip_address
from pathlib import Path

import pytest

from kwhost.core.model.policy import BUILT_IN_POLICIES
from kwhost.core.policy.constants import CONSTANTS
from kwhost.core.policy.destinations import Direction, Protocol
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse, decide, judge_path
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import ALLOW, Access, Layer, Verdict

ROW = re.compile(r"^(CALL|REFUSE)\(\d+, (\w+), (\w+)", re.MULTILINE)
# An argument for which no rule on arguments holds.
HARMLESS = (1, 1, 0, 0, 0, 0)


def verdict(name: str, call: Call) -> str:
    decision = decide([Layer(name, built_in().find(name))], call)
    return str(Verdict(decision.action, decision.errno))


def number(text: str) -> int:
    value = 0
    for word in text.split("|"):
        value |= CONSTANTS[word]
    return value


def test_default_answers_as_the_monitor_alone_would(project: Path) -> None:
    """Programs find what they find without a policy: calls that are served, and the same errors otherwise,
    but for rseq, which is there where there is no monitor."""
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    for kind, call, error in ROW.findall(text):
        expected = "allow" if kind == "CALL" or call == "rseq" else f"errno:{error}"
        assert verdict("default", Call(call, HARMLESS)) == expected, call


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("socket", ("AF_UNIX", "SOCK_STREAM"), "allow"),
        ("socket", ("AF_INET6", "SOCK_DGRAM|SOCK_CLOEXEC"), "allow"),
        ("socket", ("AF_NETLINK", "SOCK_RAW|SOCK_CLOEXEC", "NETLINK_ROUTE"), "allow"),
        ("socket", ("AF_NETLINK", "SOCK_RAW", "NETLINK_AUDIT"), "errno:EPROTONOSUPPORT"),
        ("socket", ("AF_INET", "SOCK_RAW|SOCK_NONBLOCK"), "errno:EPERM"),
        ("socket", ("AF_INET", "SOCK_PACKET"), "errno:EPERM"),
        ("socket", ("AF_PACKET", "SOCK_RAW"), "errno:EAFNOSUPPORT"),
        ("socket", ("AF_VSOCK", "SOCK_STREAM"), "errno:EAFNOSUPPORT"),
        ("socket", ("AF_ALG", "SOCK_SEQPACKET"), "errno:EAFNOSUPPORT"),
        ("clone", ("SIGCHLD",), "allow"),
        ("clone", ("CLONE_VM|CLONE_VFORK|SIGCHLD",), "allow"),
        ("clone", ("CLONE_NEWUSER|SIGCHLD",), "errno:EPERM"),
        ("unshare", ("CLONE_FILES",), "allow"),
        ("unshare", ("CLONE_NEWNET|CLONE_FS",), "errno:EPERM"),
        ("ioctl", ("SEEK_SET", "TCGETS"), "allow"),
        ("ioctl", ("SEEK_SET", "TIOCSTI"), "errno:EPERM"),
    ],
)
def test_default_looks_at_arguments(call: str, arguments: tuple[str, ...], expected: str) -> None:
    assert verdict("default", Call(call, tuple(number(text) for text in arguments))) == expected


@pytest.mark.parametrize(
    "call", ["socket", "connect", "bind", "sendmsg", "fork", "vfork", "execve", "execveat"]
)
def test_strict_has_no_network_and_no_new_processes(call: str) -> None:
    assert verdict("strict", Call(call, (2, 1))) == "errno:EPERM"


def test_strict_lets_the_instance_begin() -> None:
    """The first program is judged by the rules on files; no call is made for it."""
    use = PathUse(b"/usr/bin/python3", Access.EXECUTE)

    finding = judge_path(built_in().find("strict"), use)

    assert finding
    assert finding.verdict == ALLOW


def test_strict_has_threads_but_no_other_clones() -> None:
    thread = number("CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS")

    assert verdict("strict", Call("clone", (thread,))) == "allow"
    assert verdict("strict", Call("clone", (CONSTANTS["SIGCHLD"],))) == "errno:EPERM"
    assert verdict("strict", Call("clone", (thread | CONSTANTS["CLONE_NEWNS"],))) == "errno:EPERM"
    assert verdict("strict", Call("clone3")) == "errno:ENOSYS"
    assert verdict("strict", Call("futex", (0, 0, 1))) == "allow"


@pytest.mark.parametrize(
    ("path", "access", "expected"),
    [
        (b"/usr/lib/x.so", Access.READ, "allow"),
        (b"/tmp/x", Access.WRITE, "errno:EACCES"),
        (b"/dev/null", Access.READ | Access.WRITE, "allow"),
        (b"/dev/sda", Access.WRITE, "errno:EACCES"),
    ],
)
def test_strict_writes_no_files(path: bytes, access: Access, expected: str) -> None:
    assert verdict("strict", Call("openat", paths=(PathUse(path, access),))) == expected


@pytest.mark.parametrize(
    ("path", "access", "expected"),
    [
        (b"/usr/bin/nginx", Access.READ | Access.EXECUTE, "allow"),
        (b"/usr/bin/nginx", Access.WRITE, "errno:EACCES"),
        (b"/var/log/nginx/access.log", Access.WRITE, "allow"),
        (b"/tmp/dropped", Access.EXECUTE, "errno:EACCES"),
        (b"/etc/shadow", Access.READ, "errno:EACCES"),
    ],
)
def test_web_executes_nothing_that_it_can_write(path: bytes, access: Access, expected: str) -> None:
    assert verdict("web", Call("openat", paths=(PathUse(path, access),))) == expected


@pytest.mark.parametrize(
    ("direction", "address", "expected"),
    [
        (Direction.TO, "192.0.2.1", "allow"),
        (Direction.LISTEN, "0.0.0.0", "allow"),
        (Direction.TO, "169.254.169.254", "errno:EPERM"),
        (Direction.TO, "::ffff:169.254.169.254", "errno:EPERM"),
        (Direction.TO, "fe80::1", "errno:EPERM"),
    ],
)
def test_web_keeps_away_from_metadata_services(direction: Direction, address: str, expected: str) -> None:
    use = AddressUse(direction, ip_address(address), 80, Protocol.TCP)

    assert verdict("web", Call("connect", addresses=(use,))) == expected


@pytest.mark.parametrize("name", BUILT_IN_POLICIES)
def test_the_files_are_part_of_the_package(name: str) -> None:
    file = resources.files("kwhost.core.policy") / "profiles" / f"{name}.toml"

    assert file.is_file()
    assert errno.errorcode[built_in().find(name).default.verdict.errno] in ("ENOSYS", "EPERM")
