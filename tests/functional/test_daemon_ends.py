"""The end of a daemon, and what the next one finds: instances that run, that have ended, that were killed."""

import os
import shutil
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import HostError, KwhostError
from tests.functional.daemon_requests import act, create, kinds_of, log_of, supervisor_of, wait_log
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.leftovers import find_leftovers

pytestmark = [pytest.mark.kvm, pytest.mark.root]

WAIT_FOR_FLAG = "echo up; until [ -e /flags/go ]; do sleep 0.02; done; exit 42"
TWO = """
[tenants.acme.instances.one]
command = "sleep 1000"
[tenants.acme.instances.two]
command = "sleep 1000"
"""


def flag_volume(daemon: Daemon) -> tuple[Path, list[dict[str, object]]]:
    """A directory of the host's, and the volume that shows it to an instance."""
    flags = daemon.directory / "flags"
    flags.mkdir()
    flags.chmod(0o755)
    return flags, [{"source": str(flags), "target": "/flags", "read_only": True}]


def wait_pid(daemon: Daemon, name: str) -> Any:
    """The status of an instance, once its process is known."""
    return eventually(lambda: (status := daemon.instance(name))["pid"] and status, f"{name}: a process")


def test_sigterm_ends_the_daemon_alone_and_the_next_one_goes_on(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(TWO)
    before = [daemon.wait_state(name, "running") for name in ("one", "two")]

    assert daemon.signal(signal.SIGTERM) == 0
    assert all(Path(f"/proc/{status['pid']}").exists() for status in before)

    daemon.start()
    after = [wait_pid(daemon, name) for name in ("one", "two")]
    for old, new in zip(before, after, strict=True):
        assert (new["id"], new["pid"], new["started"]) == (old["id"], old["pid"], old["started"])
    assert kinds_of(daemon, "one") == ["created", "starting", "started", "adopted"]
    assert act(daemon, "stop", "one")["exit_code"] == 143


def test_sigint_stops_everything_and_nothing_is_left(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(TWO)
    create(daemon, "more", "sh", "-c", "sleep 1000 & wait", limits={"memory": 64 << 20, "pids": 10})
    create(daemon, "paused", "sleep", "1000")
    act(daemon, "pause", "paused")
    daemon.wait_state("one", "running")
    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) != []

    assert daemon.signal(signal.SIGINT) == 0

    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) == []
    assert not daemon.socket.exists()


def test_an_end_that_no_daemon_saw_is_known_afterwards(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    flags, volumes = flag_volume(daemon)
    for name, restart in (("job", "no"), ("service", "on-failure")):
        create(daemon, name, "sh", "-c", WAIT_FOR_FLAG, volumes=volumes, restart=restart)
    supervisors = [supervisor_of(daemon, name) for name in ("job", "service")]
    first = daemon.instance("service")
    daemon.kill()

    (flags / "go").touch()
    eventually(lambda: not any(map(running, supervisors)), "the end of both")
    shutil.rmtree(flags)
    flags.mkdir()
    daemon.start()

    job = daemon.wait_state("job", "exited")
    assert (job["reason"], job["exit_code"]) == ("exited", 42)
    assert job["ended"] > first["started"]
    assert kinds_of(daemon, "job") == ["created", "starting", "started", "exited"]
    service = daemon.wait_state("service", "running")
    assert service["restarts"] == 1
    assert service["pid"] != first["pid"]


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("daemon_lives", [True, False])
def test_a_killed_supervisor_takes_its_instance_along(kwhostd: StartDaemon, daemon_lives: bool) -> None:
    daemon = kwhostd()
    status = create(daemon, "one", "sh", "-c", "sleep 1000 & wait", limits={"memory": 64 << 20})
    supervisor = supervisor_of(daemon, "one")
    if not daemon_lives:
        daemon.kill()
    os.kill(supervisor, signal.SIGKILL)
    if not daemon_lives:
        daemon.start()

    lost = daemon.wait_state("one", "failed")

    assert (lost["reason"], lost["exit_code"], lost["pid"]) == ("lost", None, None)
    assert "killed" in lost["message"]
    assert not running(status["pid"])
    daemon.signal(signal.SIGTERM)
    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) == []


@pytest.mark.slow
def test_a_supervisor_that_hangs_is_killed_when_it_is_to_stop(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    status = create(daemon, "one", "sleep", "1000")
    create(daemon, "other", "sleep", "1000")
    os.kill(supervisor_of(daemon, "one"), signal.SIGSTOP)
    dirs = InstanceDirs.of(daemon.run_dir, daemon.state_dir, status["id"])
    with ExitStack() as held, suppress(HostError):  # until no further connection is taken
        while connection := dirs.connect():
            held.enter_context(connection)

    assert act(daemon, "stop", "other")["exit_code"] == 143
    assert act(daemon, "stop", "one", timeout=0)["state"] == "failed"


def test_a_second_daemon_on_the_same_directories_refuses(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(TWO)

    same = daemon.run("up", str(daemon.config))
    beside = daemon.run("up", str(daemon.config), "--host", str(daemon.directory / "other.sock"))

    assert (same.returncode, beside.returncode) == (125, 125)
    assert len(same.stderr.splitlines()) == len(beside.stderr.splitlines()) == 1
    assert "runs on" in same.stderr
    assert "in use by another kwhost" in beside.stderr
    assert daemon.wait_state("one", "running")


def test_a_reload_touches_only_what_differs(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(TWO)
    one, two = (daemon.wait_state(name, "running") for name in ("one", "two"))
    daemon.config.write_text(
        TWO.replace('two]\ncommand = "sleep 1000', 'two]\nstop_timeout = "3s"\ncommand = "sleep 2000')
        + "[tenants.acme.instances.three]\ncommand = 'sleep 1000'\n"
    )

    assert daemon.run("reload").returncode == 0

    daemon.wait_state("three", "running")
    changed = daemon.wait_state("two", "running")
    assert daemon.instance("one") == one
    assert (changed["id"], changed["command"]) == (two["id"], ["sleep", "2000"])
    assert changed["pid"] != two["pid"]


@pytest.mark.parametrize("how", ["reload", "signal"])
def test_a_wrong_configuration_changes_nothing(kwhostd: StartDaemon, how: str) -> None:
    daemon = kwhostd(TWO)
    before = [daemon.wait_state(name, "running") for name in ("one", "two")]
    daemon.config.write_text(TWO.replace("one", "three") + "replicas = -1\n")

    if how == "reload":
        with pytest.raises(KwhostError, match="replicas"):
            daemon.client.request("POST", "/v1/reload")
    else:
        assert daemon.process
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "replicas" in daemon.said, "the complaint")

    assert daemon.client.request("GET", "/v1/instances") == before


def test_an_unfinished_start_is_begun_again_by_the_next_daemon(kwhostd: StartDaemon) -> None:
    """As configured, all of them run in the end, whenever the daemon was killed."""
    daemon = kwhostd(TWO)
    daemon.kill()
    daemon.start()

    for name in ("one", "two"):
        assert daemon.wait_state(name, "running")["restarts"] == 0


@pytest.mark.slow
def test_a_gigabyte_of_log_is_bounded_and_harms_nobody(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [host]
        log_size = "1M"
        log_files = 3
    """)
    create(daemon, "neighbour", "sh", "-c", "while :; do echo tick; sleep 0.05; done")
    flood = (
        "import os\nfor n in range(1024): os.write(1, (b'x' * 1023 + b'\\n') * 1024)\nos.write(1, b'end\\n')"
    )
    create(daemon, "flood", "python3", "-c", flood)
    before = len(wait_log(daemon, "neighbour", 1))

    ended = act(daemon, "wait", "flood")

    assert ended["exit_code"] == 0
    directory = daemon.state_dir / "instances" / ended["id"]
    assert sum(file.stat().st_size for file in directory.glob("log*")) <= 3 << 20
    assert log_of(daemon, "flood")[-1] == "end"
    wait_log(daemon, "neighbour", before + 10)
