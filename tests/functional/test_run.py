"""`kwhost run` as a user meets it: status, streams, environment, users, volumes, time."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import RunKwhost

pytestmark = pytest.mark.kvm


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_the_programs_status_is_the_commands(run_kwhost: RunKwhost, status: int) -> None:
    assert run_kwhost(["--", "sh", "-c", f"exit {status}"]).returncode == status


@pytest.mark.hw
def test_output_and_errors_stay_apart(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--", "sh", "-c", "echo out; echo err >&2"])

    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_input_is_connected_only_with_i(run_kwhost: RunKwhost) -> None:
    assert run_kwhost(["-i", "--", "cat"], input="line\n").stdout == "line\n"
    assert run_kwhost(["--", "cat"], input="line\n").stdout == ""


@pytest.mark.hw
def test_much_output_comes_through_whole(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--", "seq", "1", "50000"])

    assert done.stdout == "".join(f"{number}\n" for number in range(1, 50001))


def test_the_environment_is_built_and_never_inherited(
    run_kwhost: RunKwhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the operator")
    monkeypatch.setenv("PASSED", "on")

    done = run_kwhost(["--name", "box", "-e", "A=b c", "-e", "PASSED", "--", "env"])

    environment = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": environment["HOME"],
        "HOSTNAME": "box",
        "A": "b c",
        "PASSED": "on",
    }


def test_name_and_working_directory(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(
        ["--name", "box", "-w", "/usr/bin", "--", "sh", "-c", "hostname; pwd; cat /etc/hostname"]
    )

    assert done.stdout.split() == ["box", "/usr/bin", "box"]


@pytest.mark.hw
@pytest.mark.root
def test_users_by_number(run_kwhost: RunKwhost) -> None:
    assert run_kwhost(["-u", "5:60", "--", "sh", "-c", "id -u; id -g"]).stdout.split() == ["5", "60"]


@pytest.mark.root
def test_users_by_name(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["-u", "daemon", "--", "sh", "-c", "id -un; echo $HOME"])

    assert done.stdout.split() == ["daemon", "/usr/sbin"]


@pytest.mark.hw
def test_volumes(run_kwhost: RunKwhost, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "given").write_text("content\n")

    done = run_kwhost(["-v", f"{tmp_path}:/data", "--", "sh", "-c", "cat /data/given; echo new > /data/made"])

    assert done.stdout == "content\n"
    assert (tmp_path / "made").read_text() == "new\n"
    # Where the file system cannot map owners, a line says so, and the file belongs to the instance.
    mapped = (tmp_path / "made").stat().st_uid == os.geteuid()
    assert mapped == ("owners" not in done.stderr)


def test_read_only_volumes(run_kwhost: RunKwhost, tmp_path: Path) -> None:
    done = run_kwhost(["-v", f"{tmp_path}:/data:ro", "--", "touch", "/data/x"])

    assert done.returncode == 1
    assert "Read-only" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.hw
def test_a_read_only_root_leaves_only_the_usual_places(run_kwhost: RunKwhost) -> None:
    places = "/ /etc /usr /var/lib /tmp /run /var/tmp /dev/shm"
    script = f"for d in {places}; do touch $d/x 2>/dev/null && echo $d; done"

    done = run_kwhost(["--read-only", "--", "sh", "-c", script])

    assert done.stdout.split() == ["/tmp", "/run", "/var/tmp", "/dev/shm"]


def test_what_an_instance_writes_is_gone_with_it(run_kwhost: RunKwhost) -> None:
    written = run_kwhost(
        ["--", "sh", "-c", "echo x > /tmp/kept && echo y > /etc/kept && cat /tmp/kept /etc/kept"]
    )
    assert written.stdout == "x\ny\n"

    assert run_kwhost(["--", "ls", "/tmp/kept", "/etc/kept"]).returncode == 2
    assert not Path("/etc/kept").exists()


@pytest.mark.hw
def test_secrets_of_this_machine_are_not_there(run_kwhost: RunKwhost) -> None:
    script = "cat /etc/shadow /etc/gshadow /etc/ssh/* /etc/ssl/private/* /etc/sudoers 2>/dev/null | wc -c"

    assert run_kwhost(["--", "sh", "-c", script]).stdout.strip() == "0"


@pytest.mark.root
def test_files_that_not_everybody_may_read_are_not_read(run_kwhost: RunKwhost) -> None:
    """Also those that nobody thought of hiding: the kernel refuses them."""
    secret = Path(f"/etc/kwhost-test-{os.getpid()}")
    secret.touch(mode=0o600)
    try:
        secret.write_text("secret")
        done = run_kwhost(["--", "cat", str(secret)])
    finally:
        secret.unlink()

    assert done.returncode == 1
    assert "Permission denied" in done.stderr


@pytest.mark.hw
def test_the_time_limit(run_kwhost: RunKwhost) -> None:
    began = time.monotonic()

    done = run_kwhost(["--timeout", "300ms", "--", "sh", "-c", "trap '' TERM INT; sleep 30"])

    assert done.returncode == 124
    assert time.monotonic() - began < 20


@pytest.mark.hw
def test_statistics_are_printed_at_the_end(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--stats", "--", "sh", "-c", "echo done"])

    assert done.stdout == "done\n"
    shown = {line.split("  ")[0].strip(): line for line in done.stderr.splitlines()}
    for name in ("start time", "system calls", "VM exits", "processes", "peak memory"):
        assert name in shown
    calls = [line.split() for line in done.stderr.splitlines() if line.startswith("   ")]
    assert any(row[-1] == "write" and int(row[0]) >= 1 for row in calls)


def test_a_signal_to_the_program_is_its_status(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--", "sh", "-c", "kill -TERM $$"])

    assert done.returncode == 128 + 15


@pytest.mark.hw
def test_a_crash_says_where(run_kwhost: RunKwhost) -> None:
    program = "import ctypes; ctypes.string_at(16)"

    done = run_kwhost(["--", "python3", "-c", program])

    assert done.returncode == 128 + 11
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert "0x10" in lines[0]


@pytest.mark.parametrize("options", [[], ["--init"]])
def test_orphans_do_not_outlive_the_program(run_kwhost: RunKwhost, options: list[str]) -> None:
    seconds = os.getpid() + 10**6 + len(options)
    done = run_kwhost([*options, "--", "sh", "-c", f"sleep {seconds} & exit 4"])

    assert done.returncode == 4
    assert subprocess.run(["pgrep", "-f", f"^sleep {seconds}$"], check=False).returncode == 1


@pytest.mark.hw
def test_a_directory_as_the_root(run_kwhost: RunKwhost, busybox_root: Path) -> None:
    done = run_kwhost(
        ["--rootfs", str(busybox_root), "--", "sh", "-c", "ls /; echo x > /made; cat /made; id -un"]
    )

    assert {"bin", "etc", "dev", "proc", "sys"} <= set(done.stdout.split())
    assert done.stdout.split()[-2:] == ["x", "owner"]
    assert not (busybox_root / "made").exists()
