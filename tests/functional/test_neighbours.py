"""Tenants that attack their host, all at once, and one beside them that computes and answers."""

import os
import time
from pathlib import Path

import pytest

from tests.engine.workshop import HOSTILE, open_workshop
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.leftovers import find_leftovers
from tests.host_mounts import host_mounts

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(180)]

SECONDS = 12  # of attack
BOMBS = ("forks", "memory", "signals", "files")
ATTACKS = ("pointers", "racing_calls", "proc_escape")
# What the neighbour has to find each time: the sum of i * i % 7 for i below 200000.
SUM = 399_999

NEIGHBOUR = """
import http.server, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'well')
    def log_message(self, *rest): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True: print(sum(i * i % 7 for i in range(200000)), flush=True)
"""


def _configuration(folder: Path, programs: dict[str, list[str]]) -> str:
    lines = [
        f"""
[tenants.good.instances.neighbour]
command = ["/usr/bin/python3", "-c", '''{NEIGHBOUR}''']
memory = "256M"
healthcheck = {{ http = "http://:8000/", interval = "1s", timeout = "10s", retries = 2 }}

[tenants.bad]
cpus = 1.5
memory = "512M"
pids = 400
binds = ["{folder}"]
"""
    ]
    for name, command in programs.items():
        words = ", ".join(f'"{word}"' for word in command)
        lines.append(
            f"[tenants.bad.instances.{name}]\ncommand = [{words}]\nmemory = '64M'\npids = 50\ncpus = 0.2\n"
            f"restart = 'always'\nvolumes = ['{folder}:/mnt:ro']\n"
        )
    return "\n".join(lines)


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    """Hosts the neighbour and all attackers."""
    workshop = open_workshop()
    bombs = workshop.build(Path(__file__).with_name("bombs.c"))
    programs = {name: [bombs, name] for name in BOMBS}
    programs |= {name.replace("_", "-"): [workshop.build(HOSTILE / f"{name}.c")] for name in ATTACKS}
    return kwhostd(_configuration(workshop.folder, programs))


def _results(daemon: Daemon) -> list[str]:
    return str(daemon.run("logs", "good/neighbour").stdout).split()


def test_a_neighbour_computes_and_answers_under_attack(daemon: Daemon) -> None:
    daemon.wait_state("good/neighbour", "running")
    eventually(lambda: daemon.instance("good/neighbour")["health"] == "healthy", "health")
    for name in BOMBS:
        daemon.wait_state(f"bad/{name}", "running", "exited")  # the kernel may have ended one by then
    before = daemon.instance("good/neighbour")
    count = len(_results(daemon))
    states = set()

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        states.add(daemon.instance("good/neighbour")["health"])
        time.sleep(0.2)

    after = daemon.instance("good/neighbour")
    results = _results(daemon)
    assert states == {"healthy"}
    assert (after["pid"], after["restarts"]) == (before["pid"], 0)
    assert len(results) > count + 2
    assert set(results) == {str(SUM)}
    assert daemon.process
    assert daemon.process.poll() is None
    assert "Traceback" not in daemon.said


def test_attackers_leave_nothing_behind(daemon: Daemon) -> None:
    for name in BOMBS:
        daemon.wait_state(f"bad/{name}", "running", "exited")
    mounts = host_mounts(daemon.directory)

    down = daemon.run("down")

    assert down.returncode == 0, down.stderr
    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) == []
    assert host_mounts(daemon.directory) == mounts
    assert not [pid for pid in os.listdir("/proc") if pid.isdecimal() and _is_bomb(pid)]


def _is_bomb(pid: str) -> bool:
    try:
        return b"tests_functional-bombs" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
