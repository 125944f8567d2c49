"""Names that rules may use: calls, sets, arguments, constants; each means what the kernel means by it."""

import re
import subprocess
from pathlib import Path

import pytest

from kwhost.core.errors import UsageError
from kwhost.core.policy.calls import CALLS, Width, argument_widths
from kwhost.core.policy.constants import CONSTANTS
from kwhost.core.policy.model import Comparison
from kwhost.core.policy.sets import SETS, expand, set_members
from kwhost.core.policy.words import parse_condition, parse_number

ROW = re.compile(r'^(?:CALL|REFUSE)\(\d+, (\w+), .*?ARGS\((.*?)\), "', re.MULTILINE)
KIND = re.compile(r"([A-Z]+)[0-9]*(?:\(\d\))?")
HEADERS = (
    "stdio.h sys/socket.h netinet/in.h linux/netlink.h fcntl.h sys/stat.h sys/file.h unistd.h "
    "sys/mman.h sys/shm.h sched.h sys/wait.h sys/resource.h sys/personality.h asm/termbits.h "
    "sys/prctl.h asm/prctl.h signal.h time.h sys/timerfd.h sys/eventfd.h sys/epoll.h sys/inotify.h "
    "sys/random.h sys/time.h linux/futex.h asm/ioctls.h linux/fs.h linux/fiemap.h linux/random.h "
    "linux/sockios.h "
)


@pytest.fixture(scope="module")
def table(project: Path) -> dict[str, list[str]]:
    """The kinds of each call's arguments, from the monitor's table."""
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    return {
        name: [kind for kind in KIND.findall(kinds) if kind != "NONE"] for name, kinds in ROW.findall(text)
    }


def test_every_call_of_the_table_is_in_a_set_besides_known(table: dict[str, list[str]]) -> None:
    grouped = frozenset().union(*(set_members(name) for name in SETS if name != "@known"))

    assert set(table) == set(CALLS) == set_members("@known")
    assert set(CALLS) - grouped == set()


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_known_calls_only(name: str) -> None:
    assert set_members(name)
    assert set_members(name) <= set(CALLS)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("connect", "@network-io"),
        ("clone3", "@process"),
        ("openat", "@file-system"),
        ("init_module", "@privileged"),
        ("execve", "@default"),
        ("setuid", "@system-service"),
        ("mount_setattr", "@mount"),
    ],
)
def test_sets_are_systemds(call: str, name: str) -> None:
    assert call in expand(name)


def test_widths_are_told_for_every_argument_that_is_a_number(table: dict[str, list[str]]) -> None:
    always_int = {"FD", "DIRFD", "SIGNAL", "MODE", "PID"}
    never = {"PATH", "STRING", "PTR", "IN", "OUT", "IOVEC", "SOCKADDR", "TIME", "SIGSET", "MSGHDR"}
    for call, kinds in table.items():
        widths = argument_widths(call)
        numbers = [kind for kind in kinds if kind not in never | {"ADDRESS"}]
        assert len(widths) in ({len(kinds)} if numbers else {0, len(kinds)}), call
        for kind, width in zip(kinds, widths, strict=False):
            assert (width is Width.INT) or kind not in always_int, call
            assert (width is Width.POINTER) or kind not in never - {"TIME"}, call


def test_constants_are_those_of_the_kernels_headers(tmp_path: Path) -> None:
    source = "#define _GNU_SOURCE\n#define SOL_TCP 6\n#define SOL_UDP 17\n"
    source += "".join(f"#include <{header}>\n" for header in HEADERS.split())
    prints = "".join(f'printf("{name} %lld\\n", (long long)({name}));' for name in CONSTANTS)
    (tmp_path / "names.c").write_text(f"{source}int main(void) {{ {prints} }}\n")
    subprocess.run(["gcc", tmp_path / "names.c", "-o", tmp_path / "names"], check=True)
    printed = subprocess.run([tmp_path / "names"], check=True, capture_output=True, text=True).stdout

    found = {name: int(value) for name, value in map(str.split, printed.splitlines())}
    # The headers of some systems have requests of ioctl as negative numbers.
    assert {name: value & 0xFFFF_FFFF for name, value in found.items()} == {
        name: value & 0xFFFF_FFFF for name, value in CONSTANTS.items()
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("0x10", 16), ("-1", -1), ("TCGETS", 0x5401), ("O_CREAT|O_EXCL", 0o300), (" O_RDWR | 4 ", 6)],
)
def test_numbers_may_be_written_by_name(text: str, number: int) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "|", "O_CREAT|", "1e3", "0b1", "--1", "9" * 30])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="there is no constant"):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "comparison", "mask", "value"),
    [
        ("AF_INET", Comparison.EQUAL, 0xFFFF_FFFF, 2),
        (-1, Comparison.EQUAL, 0xFFFF_FFFF, 0xFFFF_FFFF),
        ("& 0xf == SOCK_RAW", Comparison.EQUAL, 0xF, 3),
        ("&O_CREAT|O_TRUNC==0", Comparison.EQUAL, 0o1100, 0),
        (">= 1024", Comparison.AT_LEAST, 0xFFFF_FFFF, 1024),
        ("<=0xff", Comparison.AT_MOST, 0xFFFF_FFFF, 255),
    ],
)
def test_conditions_are_read(text: str | int, comparison: Comparison, mask: int, value: int) -> None:
    condition = parse_condition(1, Width.INT, text)

    assert condition[:4] == (1, comparison, mask, value)
