"""Files in memory that instances have where they ask for them (docs/storage.md)."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.conftest import RunKwhost
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.ordinary import Host, OrdinaryDaemon, make_host, missing_ability

pytestmark = pytest.mark.kvm

MIB = 1 << 20
ENGINES = [["--engine", "direct"], ["--engine", "process", "--isolation", "process"]]
OF_TMP = "stat -c %u:%g:%a /t; grep ' /t ' /proc/self/mountinfo"
FILL = "head -c 32M /dev/zero >/t/f; stat -c %s /t/f"
CONFIGURATION = f"""
[tenants.acme.instances.app]
command = ["sh", "-c", "echo there: $(ls /t); {FILL}; sleep 1000"]
memory = "64M"
volumes = ["tmpfs:/t:size=16M,mode=750,uid=7"]
"""


@pytest.fixture(params=ENGINES, ids=["direct", "process"])
def engine(request: pytest.FixtureRequest) -> list[str]:
    options: list[str] = request.param
    return options


def test_its_owner_mode_and_size_are_as_asked(run_kwhost: RunKwhost, engine: Sequence[str]) -> None:
    done = run_kwhost([*engine, "--tmpfs", "/t:size=1M,mode=750,uid=7,gid=8", "--", "sh", "-c", OF_TMP])

    owner, line = done.stdout.splitlines()
    assert owner == "7:8:750"
    assert " rw,nosuid,nodev,noexec," in line
    assert "size=1024k,nr_inodes=256" in line


def test_who_fills_it_finds_no_room(run_kwhost: RunKwhost, engine: Sequence[str]) -> None:
    done = run_kwhost([*engine, "-v", "tmpfs:/t:size=1M", "--", "sh", "-c", FILL])

    assert "No space left on device" in done.stderr
    assert int(done.stdout) == MIB


def test_programs_in_it_need_exec(run_kwhost: RunKwhost, engine: Sequence[str]) -> None:
    copy = ["sh", "-c", "cp /bin/echo /t/echo && /t/echo ran"]

    assert run_kwhost([*engine, "--tmpfs", "/t:exec", "--", *copy]).stdout == "ran\n"
    assert "Permission denied" in run_kwhost([*engine, "--tmpfs", "/t", "--", *copy]).stderr


def test_it_can_be_written_where_the_root_cannot(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--read-only", "--tmpfs", "/t", "--", "sh", "-c", "echo x >/t/f && cat /t/f; >/f"])

    assert done.stdout == "x\n"
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tmpfs", "/t:size=64M", "--memory", "32M"], "is to hold 64.0 MiB, and the instance may use 32.0"),
        (["--tmpfs", "/t", "-v", "/etc:/t"], "two volumes have the same place in the instance, /t"),
        (["--tmpfs", "/t:uid=70000"], "cannot be 70000:0's: the instance's ids are 0 to 65535"),
        (["--tmpfs", "/t:size=1M,ro"], "a tmpfs has no option 'ro'"),
    ],
)
@pytest.mark.root
def test_what_cannot_be_had_is_one_line(run_kwhost: RunKwhost, options: list[str], message: str) -> None:
    done = run_kwhost([*options, "--", "true"])

    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert message in done.stderr


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    daemon = kwhostd(CONFIGURATION)
    daemon.wait_state("acme/app", "running")
    return daemon


def mount(daemon: Daemon) -> Any:
    """What is at /t, as the terminal interface asks for it."""
    found = daemon.client.request("GET", "/v1/instances/app/storage")["mounts"]
    return next((each for each in found if each["target"] == "/t"), None)


@pytest.mark.root
def test_it_is_told_beside_what_else_is_mounted(daemon: Daemon) -> None:
    told = eventually(lambda: (found := mount(daemon)) and found["used"] == 16 * MIB and found, "it is full")

    assert told == {
        "target": "/t", "origin": "memory", "source": "", "file_system": "tmpfs", "read_only": False,
        "layers": 0, "size": 16 * MIB, "used": 16 * MIB,
    }  # fmt: skip
    (definition,) = daemon.client.request("GET", "/v1/instances/app/definition")["tmpfs"]
    assert definition["size"] == 16 * MIB


@pytest.mark.root
def test_it_counts_as_the_instances_memory_and_goes_with_the_run(daemon: Daemon) -> None:
    eventually(lambda: (found := mount(daemon)) and found["used"] == 16 * MIB, "it is full")

    usage = daemon.client.request("GET", "/v1/instances/app/stats")["usage"]
    assert usage["memory"] > 16 * MIB
    daemon.run("restart", "app")
    eventually(lambda: daemon.run("logs", "app").stdout.count("there:") == 2, "its second run")
    assert "there: f" not in daemon.run("logs", "app").stdout


@pytest.mark.root
def test_a_configuration_that_wants_too_much_is_refused(daemon: Daemon) -> None:
    daemon.config.write_text(CONFIGURATION.replace("16M", "128M"))

    done = daemon.run("reload")

    assert "instances.app.volumes: the tmpfs at /t is to hold 128.0 MiB" in done.stderr


@pytest.fixture
def ordinary() -> Iterator[Host]:
    if reason := missing_ability():
        pytest.skip(reason)
    with make_host() as made:
        yield made


@pytest.mark.root
@pytest.mark.net
def test_an_ordinary_user_has_them_too(ordinary: Host) -> None:
    done = ordinary.run("run", "--tmpfs", "/t:size=1M,mode=750", "--", "sh", "-c", OF_TMP)

    assert done.stdout.startswith("0:0:750\n"), done.stderr
    daemon = OrdinaryDaemon(ordinary, "")
    try:
        daemon.start()
        done = daemon.run("run", "--rm", "--tmpfs", "/t:size=1M", "--", "sh", "-c", OF_TMP)
        assert done.stdout.startswith("0:0:1777\n"), done.stderr
    finally:
        daemon.close()
