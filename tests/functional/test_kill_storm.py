"""The daemon is killed at random moments of a storm of requests: nothing is lost, nothing is left over."""

import random
import re
import signal
import subprocess
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.api.client import instance_path
from kwhost.core.errors import ApiError, Conflict, KwhostError, LaunchError
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.leftovers import control_groups, find_leftovers, group_processes
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 50
WORKERS = 4
# A program that ends by itself has its worker's number as its exit code, so that none can be mistaken.
COMMANDS = {"sleeper": "exec sleep 1000", "job": "exit {code}", "again": "sleep 0.1; exit {code}"}
LIVE = ("starting", "running", "paused", "stopping")

# What may follow what in the journal of one instance. "adopted" may come after what is running.
FOLLOWING = {
    None: {"created"},
    "created": {"starting", "removed"},
    # Twice: the daemon was killed before it had done anything about the first.
    "starting": {"starting", "started", "stopping"},
    "started": {"adopted", "stopping", "exited", "paused"},
    "adopted": {"adopted", "stopping", "exited", "paused", "resumed"},
    "paused": {"adopted", "resumed", "stopping", "exited"},
    "resumed": {"adopted", "paused", "stopping", "exited"},
    "stopping": {"adopted", "exited"},
    "exited": {"starting", "crash-loop", "removed"},
    "crash-loop": {"starting", "exited"},
}
# All that may be said of the end of an instance which was stopped while it was being started.
CUT_SHORT = "the daemon was killed while it was being started"


class Storm:
    """Requests at random, and what is known of their outcome: each name's id, None where there is no such
    instance, and no entry where a request about it was not answered."""

    def __init__(self, daemon: Daemon, dice: random.Random) -> None:
        self.daemon = daemon
        self.dice = dice
        self.names = [f"{kind}-{10 + n}" for n in range(WORKERS) for kind in COMMANDS]
        self.known: dict[str, str | None] = dict.fromkeys(self.names)
        self.requests = threading.Semaphore(0)
        self.faults: list[str] = []
        self.over = threading.Event()

    def blow(self, requests: int, pause: float) -> None:
        """Kill the daemon while the request after so many is on its way."""
        self.requests = threading.Semaphore(0)
        self.over.clear()
        workers = [
            threading.Thread(target=self._work, args=(self.names[n * 3 : n * 3 + 3], self.dice.random()))
            for n in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        for _ in range(requests):
            assert self.requests.acquire(timeout=SECONDS), "no request was answered"
        self.over.wait(pause)
        self.daemon.kill()
        for worker in workers:
            worker.join(SECONDS)
            assert not worker.is_alive()

    def _work(self, names: list[str], seed: float) -> None:
        dice = random.Random(seed)
        while self._ask(dice.choice(names), dice):
            self.requests.release()
        self.requests.release()

    def _ask(self, name: str, dice: random.Random) -> bool:
        """One request about an instance; whether the daemon lived long enough to answer."""
        before = self.known.pop(name)
        try:
            self.known[name] = self._create(name) if before is None else self._change(name, before, dice)
        except (Conflict, LaunchError):  # it has just ended by itself, or the like
            self.known[name] = before
        except ApiError:
            return False
        except KwhostError as error:
            self.faults.append(f"{name}: {type(error).__name__}: {error}")
            return False
        return True

    def _create(self, name: str) -> str:
        kind, code = name.split("-")
        definition = {
            "tenant": "default",
            "name": name,
            "command": ["sh", "-c", COMMANDS[kind].format(code=code)],
            "restart": "always" if kind == "again" else "no",
            "limits": {"memory": 64 << 20},
        }
        created = self.daemon.client.request("POST", "/v1/instances", {"start": True}, definition)
        return str(created["id"])

    def _change(self, name: str, before: str, dice: random.Random) -> str | None:
        operation = dice.choice(["start", "stop", "restart", "pause", "resume", "remove"])
        if operation == "remove":
            self.daemon.client.request("DELETE", instance_path(name), {"force": True})
            return None
        query = {"timeout": dice.choice([0, 5])} if operation in ("stop", "restart") else None
        self.daemon.client.request("POST", instance_path(name, operation), query)
        return before

    def learn(self, found: dict[str, str]) -> None:
        """Compare what is there with what was answered, and take note of the rest."""
        for name in self.names:
            if name in self.known:
                assert found.get(name) == self.known[name], name
            else:
                self.known[name] = found.get(name)
        assert found.keys() <= set(self.names)


def instances(daemon: Daemon) -> Any:
    return daemon.client.request("GET", "/v1/instances", {"all": True})


def read_events(daemon: Daemon) -> list[Any]:
    return [event.data for event in daemon.client.events("/v1/events", {"after": 0}) if event.name == "event"]


def check_journal(events: list[Any], seen: list[Any]) -> None:
    """Nothing that was seen is missing, and each instance's life makes sense."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[: len(seen)] == seen
    lives: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        if event["instance"] and event["kind"] != "notice":
            lives[event["instance"]].append(event)
    for life in lives.values():
        check_life(life)


def check_life(life: list[Any]) -> None:
    before = None
    told = [(event["kind"], event["text"]) for event in life]
    for kind, text in told:
        assert kind in FOLLOWING[before], (life[0]["name"], told)
        if kind == "exited" and before != "crash-loop":
            check_end(life[0]["name"], text, told)
        before = kind


def check_end(name: str, text: str, told: object) -> None:
    """Nobody's exit status was lost or is another's."""
    kind, code = name.split("-")
    by_itself = "" if kind == "sleeper" else f"exit code {code}|"
    expected = f"{by_itself}ended by signal (9|15)"
    assert text == CUT_SHORT or re.fullmatch(expected, text), (name, text, told)


def check_host(daemon: Daemon) -> None:
    """Nothing is there for an instance that does not run, and no instance runs twice."""

    def strays() -> list[str]:
        statuses = instances(daemon)
        live = {status["id"] for status in statuses if status["state"] in LIVE}
        known = {status["id"] for status in statuses}
        found = [str(group) for group in control_groups(daemon.state_dir) if group.name not in live]
        found += [path.name for path in (daemon.run_dir / "instances").glob("*") if path.name not in live]
        found += [path.name for path in (daemon.state_dir / "instances").glob("*") if path.name not in known]
        return found

    # Some may begin or end of themselves while this looks.
    eventually(lambda: not strays(), "the end of what belongs to nobody")
    for group in control_groups(daemon.state_dir):
        # One that has ended is seen until it is waited for, and what it leaves has another parent by then.
        eventually(lambda: outsiders(group) <= 1, f"one supervise in {group}")  # noqa: B023 - at once


def outsiders(group: Path) -> int:
    """How many processes of an instance came from outside of its group: `supervise` does."""
    pids = group_processes(group)
    return sum(parent_of(pid) not in (None, *pids) for pid in pids)


def parent_of(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    return int(found[1]) if found else None


def start_and_kill(daemon: Daemon, pause: float) -> None:
    """Kill a daemon while it begins."""
    process = subprocess.Popen(
        daemon.command("up", str(daemon.config)),
        env=daemon.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(pause)
    process.kill()
    process.wait()


def test_nothing_is_lost_when_the_daemon_is_killed_again_and_again(kwhostd: StartDaemon) -> None:
    dice = random.Random(20261122)
    daemon = kwhostd()
    storm = Storm(daemon, dice)
    seen: list[Any] = []
    for kill in range(KILLS):
        storm.blow(dice.randint(0, 12), dice.uniform(0, 0.03))
        assert not storm.faults
        if kill % 5 == 4:  # not only at work: while it begins, too
            start_and_kill(daemon, dice.uniform(0.2, 1.0))
        daemon.start()
        storm.learn({status["name"]: status["id"] for status in instances(daemon)})
        events = read_events(daemon)
        check_journal(events, seen)
        check_host(daemon)
        seen = events

    for status in instances(daemon):
        daemon.client.request("DELETE", instance_path(status["id"]), {"force": True})
    check_journal(read_events(daemon), seen)
    assert daemon.signal(signal.SIGINT) == 0
    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) == []
    assert list((daemon.state_dir / "instances").glob("*")) == []
