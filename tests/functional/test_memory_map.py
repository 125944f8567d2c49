"""What the daemon tells of a real instance's memory and threads."""

import json
import subprocess
import sys
from typing import Any

import pytest

from kwhost.core.errors import Conflict
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.ordinary import Host, OrdinaryDaemon, make_host, missing_ability
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

MIB = 1 << 20

# 96 MiB of its own of which it writes 24, 8 MiB to share of which it writes 2, and a thread with a name.
IMPORTS = "import ctypes, mmap, threading, time"
BIG = """
own = mmap.mmap(-1, 96 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
own.write(b"x" * (24 << 20))
shared = mmap.mmap(-1, 8 << 20)
shared.write(b"y" * (2 << 20))
def work():
    ctypes.CDLL(None).prctl(15, b"its \\x1b worker", 0, 0, 0)
    print("ready", flush=True)
    time.sleep(1000)
threading.Thread(target=work).start()
"""
SMALL = """
print("ready", flush=True)
time.sleep(1000)
"""
CONFIGURATION = f"""
[tenants.acme.instances.big]
command = ["/usr/bin/python3", "-c", {json.dumps(IMPORTS + BIG)}]
[tenants.acme.instances.small]
command = ["/usr/bin/python3", "-c", {json.dumps(IMPORTS + SMALL)}]
[tenants.acme.instances.ended]
command = ["true"]
restart = "no"
"""


def ready(daemon: Daemon) -> Daemon:
    def are_ready() -> bool:
        return all("ready" in daemon.run("logs", name).stdout for name in ("big", "small"))

    eventually(are_ready, "their start")
    return daemon


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    return ready(kwhostd(CONFIGURATION))


Answer = dict[str, Any]


def ask(daemon: Daemon, name: str) -> Answer:
    answer: Answer = daemon.client.request("GET", f"/v1/instances/{name}/memory")
    return answer


def ask_as_user(host: Host, daemon: Daemon, name: str) -> Answer:
    """Whoever is in another user namespace is nobody to the daemon."""
    script = f"""
import json
from pathlib import Path
from kwhost.core.api.client import Client
print(json.dumps(Client(Path({str(daemon.socket)!r})).request("GET", "/v1/instances/{name}/memory")))"""
    done = subprocess.run(
        host.command(sys.executable, "-c", script),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    answer: Answer = json.loads(done.stdout)
    return answer


def by_kind(answer: Answer) -> dict[str, dict[str, int]]:
    return {use["kind"]: use for use in answer["uses"]}


def assert_it_shows_what_is_mapped(big_one: Answer, small_one: Answer) -> None:
    """The other instance runs the same interpreter, and maps nothing beside."""
    big, small = by_kind(big_one), by_kind(small_one)
    none = dict.fromkeys(("size", "resident", "written"), 0)
    more = {
        (kind, number): big[kind][number] - small.get(kind, none)[number]
        for kind in ("anonymous", "shared")
        for number in none
    }
    expected = {
        ("anonymous", "size"): 96, ("anonymous", "resident"): 24, ("anonymous", "written"): 24,
        ("shared", "size"): 8, ("shared", "resident"): 2,
    }  # fmt: skip
    # The thread has a stack and an arena of its own, and huge pages are larger than what is written.
    slack = {("anonymous", "size"): 12}
    wrong = {
        what: (more[what] / MIB, least)
        for what, least in expected.items()
        if not least - 0.5 <= more[what] / MIB <= least + slack.get(what, 6)
    }
    assert wrong == {}


def test_the_map_shows_what_a_program_maps(daemon: Daemon) -> None:
    assert_it_shows_what_is_mapped(ask(daemon, "big"), ask(daemon, "small"))


def test_the_map_tells_the_program_its_libraries_and_what_kwhost_needs(daemon: Daemon) -> None:
    answer = ask(daemon, "big")
    found = by_kind(answer)

    (process,) = answer["processes"]
    assert process["program"].startswith("/usr/bin/python3")
    assert not process["cut"]
    assert found["libraries"]["size"] > MIB  # libc alone
    assert 0 < found["monitor"]["share"] < 8 * MIB
    assert 0 < answer["page_tables"] < 2 * MIB


def test_threads_are_listed_with_names_that_are_harmless(daemon: Daemon) -> None:
    expected = [("python3", "sleeping"), ("its ? worker", "sleeping")]

    def listed() -> list[tuple[str, str]]:
        (process,) = daemon.client.request("GET", "/v1/instances/big/top")
        assert process["threads"] == 2
        return [(each["name"], each["state"]) for each in process["listed"]]

    eventually(lambda: listed() == expected, "that both sleep")  # they have just said that they are ready


def test_what_does_not_run_has_no_memory(daemon: Daemon) -> None:
    with pytest.raises(Conflict, match="does not run"):
        daemon.client.request("GET", "/v1/instances/ended/memory")


@pytest.mark.root
@pytest.mark.net
def test_an_ordinary_users_daemon_tells_it_too() -> None:
    if reason := missing_ability():
        pytest.skip(reason)
    with make_host() as host:
        daemon = OrdinaryDaemon(host, CONFIGURATION)
        try:
            ready(daemon.start())
            answers = [ask_as_user(host, daemon, name) for name in ("big", "small")]
        finally:
            daemon.close()
    assert_it_shows_what_is_mapped(*answers)
