"""What the forwarder and its relays can still do once somebody else controls them.

The probe (kwhost/net/forward/tests/filter_probe.c) sets their filters and rules as they do, and tries.
"""

import errno
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kwhost.core.abi.call_names import call_name
from kwhost.net.forwarder import Forwarder
from tests.built import built
from tests.functional.jail_page import read_jail_page
from tests.net.forwarding import Place, forwarders, relays

pytestmark = [pytest.mark.net, pytest.mark.root]

CALLS_TRIED = range(470)
# The kernel lets uretprobe and uprobe pass through all filters.
NAMES = {call_name(number): number for number in CALLS_TRIED if number not in (335, 336)}
X32 = 1 << 30
ANY = 2**64 - 1
SERVER, START, RELAY = "forwarder of published ports", "start of a relay", "relay of published ports"
ROLES = {SERVER: 0, RELAY: 2}

# Arguments within what the filters demand; everything else is tried with all bits set.
GOOD: dict[str, Sequence[int]] = {
    "fcntl": (ANY, 2),  # F_SETFD
    "setsockopt": (ANY, 1, 13),  # SO_LINGER
    "ioctl": (ANY, 0xB703),  # NS_GET_NSTYPE
    "socketpair": (1,),
    "socket": (10,),
    "mmap": (0, 0, 1),
    "mprotect": (0, 0, 1),
    "clone": (0x1011, 0, 0),  # CLONE_PIDFD | SIGCHLD
    "pidfd_send_signal": (ANY, 9),
    "setns": (ANY, 0x40000000),  # CLONE_NEWNET
    "prctl": (15, 0),  # PR_SET_NAME
}
BAD: dict[str, tuple[str, Sequence[int]]] = {
    "a user namespace": ("clone", (0x10000011,)),
    "a mount namespace": ("clone", (0x21011,)),
    "a process that shares its memory": ("clone", (0x1111,)),
    "another mount namespace": ("setns", (3, 0x20000)),
    "any namespace": ("setns", (3, 0)),
    "another signal": ("pidfd_send_signal", (3, 15)),
    "executable memory": ("mmap", (0, 4096, 7, 0x22)),
    "making memory executable": ("mprotect", (0, 4096, 5)),
    "a Unix socket": ("socket", (1, 1, 0)),
    "nftables": ("socket", (16, 3, 12)),
    "packets": ("socket", (17, 3, 0)),
    "binding to a link": ("setsockopt", (3, 1, 25)),
    "a device's control": ("ioctl", (3, 0x5412)),
    "a descriptor's owner": ("fcntl", (3, 8)),
    "getting capabilities back": ("prctl", (47, 2)),  # PR_CAP_AMBIENT
    "opening a file": ("openat", (ANY, 0, 0)),
    "making a device": ("mknodat", (ANY, 0, 0)),
}


@pytest.fixture(scope="module")
def probe(project: Path) -> Path:
    return built(project, "kwhost-forward-probe")


def attempt(probe: Path, role: str, calls: Sequence[tuple[int, Sequence[int]]]) -> list[str]:
    """What became of each call behind the role's filter."""
    lines = (
        f"{number} {' '.join(map(str, (*arguments, *[ANY] * (6 - len(arguments)))))}\n"
        for number, arguments in calls
    )
    done = subprocess.run(
        [probe, "calls", str(ROLES[role])], input="".join(lines), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_are_let_through(project: Path, probe: Path, role: str) -> None:
    own = read_jail_page(project).own

    tried = attempt(probe, role, [(number, GOOD.get(name, ())) for name, number in NAMES.items()])

    passed = {name for name, its in zip(NAMES, tried, strict=True) if its == "passed"}
    assert passed == (own[SERVER] | own[START] | own[RELAY] if role == SERVER else own[RELAY])


@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_end_the_process(project: Path, probe: Path, role: str) -> None:
    page = read_jail_page(project)

    tried = attempt(probe, role, [(number, GOOD.get(name, ())) for name, number in NAMES.items()])

    killed = {name for name, its in zip(NAMES, tried, strict=True) if its == "killed"}
    assert killed == (page.deadly[SERVER] if role == SERVER else NAMES.keys() - page.own[RELAY])


@pytest.mark.parametrize("role", ROLES)
def test_calls_of_other_numbers_end_the_process(probe: Path, role: str) -> None:
    x32 = attempt(probe, role, [(X32 | number, ()) for number in CALLS_TRIED])

    assert set(x32) == {"killed"}


@pytest.mark.parametrize("what", BAD)
def test_the_forwarder_cannot_have(probe: Path, what: str) -> None:
    name, arguments = BAD[what]

    assert attempt(probe, SERVER, [(NAMES[name], arguments)]) == ["refused"]


@pytest.mark.parametrize("family", [1, 16, 17, 38, 40])
def test_a_relay_has_sockets_to_the_instance_alone(probe: Path, family: int) -> None:
    assert attempt(probe, RELAY, [(NAMES["socket"], (family, 1, 0))]) == ["killed"]


def test_no_file_is_within_reach_but_the_program_and_its_own(probe: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "file"
    run.mkdir()
    (run / "mine").write_text("")
    file.write_text("")

    done = subprocess.run(
        [probe, "files", run, file, "/bin/true"], capture_output=True, text=True, check=True
    )

    found = {name: int(number) for name, number in (x.rsplit(" ", 1) for x in done.stdout.splitlines())}
    version = found.pop("version")
    if version < 1:
        pytest.skip("this kernel has no Landlock")
    denied = dict.fromkeys(
        ("remove another", "read", "list", "write", "make", "execute another"), errno.EACCES
    )
    ports = {"bind": errno.EACCES if version >= 4 else 0, "signal": errno.EPERM if version >= 6 else 0}
    assert found == {"rules": 0, "remove its own": 0, "execute itself": 0, **denied, **ports}


async def test_the_running_forwarder_is_behind_its_filter(
    forwarder: Forwarder, tmp_path: Path, place: Place
) -> None:
    await forwarder.attach(place.target)
    [process], [relay] = forwarders(tmp_path), relays(tmp_path)

    def filters(pid: int) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return {key: found[key] for key in ("NoNewPrivs", "Seccomp_filters")}

    # A test that runs behind filters of its own has them, too.
    inherited = int(filters(os.getpid())["Seccomp_filters"])
    assert filters(process) == {"NoNewPrivs": "1", "Seccomp_filters": str(inherited + 1)}
    assert filters(relay) == {"NoNewPrivs": "1", "Seccomp_filters": str(inherited + 2)}
