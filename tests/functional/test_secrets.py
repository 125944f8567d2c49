"""Secrets as users meet them (docs/storage.md): files that one instance sees, for as long as it runs."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.errors import HostError, KwhostError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.secrets import SECRETS_SIZE_MAX
from kwhost.core.supervise.secrets import SecretStore
from tests.conftest import RunKwhost
from tests.functional.daemon_requests import create, wait_log
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.ordinary import Host, OrdinaryDaemon, make_host, missing_ability

pytestmark = pytest.mark.kvm

ENGINES = [["--engine", "direct"], ["--engine", "process", "--isolation", "process"]]
LOOK = "cd /run/secrets; stat -c '%n %u %g %a' *; cat *"
CONFIGURATION = """
[tenants.acme.instances.web]
command = ["sh", "-c", "cat /run/secrets/key; sleep 1000"]
secrets = { key = "files/key" }
[tenants.acme.instances.beside]
command = ["sleep", "1000"]
[tenants.beta.instances.other]
command = ["sleep", "1000"]
"""


@pytest.fixture(params=ENGINES, ids=["direct", "process"])
def engine(request: pytest.FixtureRequest) -> list[str]:
    options: list[str] = request.param
    return options


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text("sesame\n")
    return file


@pytest.mark.root
def test_its_user_alone_may_read_it(run_kwhost: RunKwhost, engine: Sequence[str], key: Path) -> None:
    done = run_kwhost([*engine, "--secret", f"key={key}", "-u", "5:6", "--", "sh", "-c", LOOK])

    assert done.stdout == "key 5 6 400\nsesame\n"


@pytest.mark.parametrize(
    "change",
    ["echo x >key", "rm -f key", "chmod 777 key", "echo x >new", "mv key new", "mount -o remount,rw ."],
)
def test_nothing_changes_it(run_kwhost: RunKwhost, key: Path, change: str) -> None:
    script = f"cd /run/secrets; ({change}) 2>/dev/null && echo changed; cat key"

    assert run_kwhost(["--secret", f"key={key}", "--", "sh", "-c", script]).stdout == "sesame\n"


def test_it_is_in_memory_that_is_not_swapped(run_kwhost: RunKwhost, engine: Sequence[str], key: Path) -> None:
    script = "grep /run/secrets /proc/self/mountinfo"

    line = run_kwhost([*engine, "--secret", f"key={key}", "--", "sh", "-c", script]).stdout

    assert " ro,nosuid,nodev,noexec," in line
    assert " - tmpfs tmpfs " in line
    version = tuple(int(number) for number in os.uname().release.split(".")[:2])
    if version >= (6, 4) and os.geteuid() == 0:
        assert ",noswap" in line


def test_many_of_any_content_fit_above_any_root(run_kwhost: RunKwhost, tmp_path: Path) -> None:
    options = []
    for number in range(64):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 8192)
        options += ["--secret", f"s{number}={tmp_path / str(number)}"]
    script = "ls /run/secrets | wc -l; tail -c 1 /run/secrets/s63 | od -An -tu1"

    done = run_kwhost([*options, "--read-only", "--tmpfs", "/run", "--", "sh", "-c", script])

    assert done.stdout.split() == ["64", "63"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--secret", "key=/nowhere/key"], "cannot read the secret key from /nowhere/key: No such file"),
        (["--secret", "key=/etc"], "cannot read the secret key from /etc: Is a directory"),
        (["--secret", "key=/dev/zero"], "cannot read the secret key from /dev/zero: it is no file"),
        (["--secret", "../key=/etc/hostname"], "'../key' is no name for a secret"),
        (["--secret", "key"], "'key' is no secret: write NAME=FILE"),
        (["--secret", "k=/etc/hostname", "--secret", "k=/etc/hostname"], "there are two secrets k"),
        (["--secret", "k=/etc/hostname", "-v", "/etc:/run/secrets"], "nothing else can be at /run/secrets"),
    ],
)
def test_what_cannot_be_had_is_one_line(run_kwhost: RunKwhost, options: list[str], message: str) -> None:
    done = run_kwhost([*options, "--", "true"])

    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert message in done.stderr


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    """Its own file of the configuration is read relative to that."""
    daemon = kwhostd("")
    (daemon.directory / "files").mkdir(mode=0o700)
    (daemon.directory / "files/key").write_text("sesame\n")
    daemon.config.write_text(CONFIGURATION)
    assert daemon.run("reload").returncode == 0
    return daemon


@pytest.mark.root
def test_a_file_of_the_configurations_is_read_at_each_start(daemon: Daemon) -> None:
    assert wait_log(daemon, "web", 1) == ["sesame"]

    (daemon.directory / "files/key").write_text("changed\n")
    daemon.run("restart", "web")
    assert wait_log(daemon, "web", 2) == ["sesame", "changed"]

    (daemon.directory / "files/key").unlink()
    assert daemon.run("restart", "web").returncode == 125
    message = daemon.wait_state("acme/web", "failed")["message"]
    # The tenant's users see it, whom it does not concern where the operator keeps the file.
    assert message == "cannot read the secret key: No such file or directory"


@pytest.mark.root
def test_the_owners_file_is_read_with_the_daemons_rights_for_nobody_else(daemon: Daemon) -> None:
    wait_log(daemon, "web", 1)
    (daemon.directory / "files/key").chmod(0o000)
    request: dict[str, Any] = {"secrets": [{"name": "key", "file": f"{daemon.directory}/files/key"}]}

    daemon.run("restart", "web")
    assert wait_log(daemon, "web", 2) == ["sesame", "sesame"]
    with pytest.raises(KwhostError, match="a configuration alone may name their files"):
        create(daemon, "thief", "true", **request)


@pytest.mark.root
def test_no_other_instance_sees_it(daemon: Daemon) -> None:
    wait_log(daemon, "web", 1)

    for name in ("beside", "other"):
        daemon.wait_state(f"{'acme' if name == 'beside' else 'beta'}/{name}", "running")
        done = daemon.run("exec", name, "--", "sh", "-c", "ls /run/secrets; grep secrets /proc/mounts")
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is no /run/secrets/key" in daemon.run("cp", f"{name}:/run/secrets/key", "-").stderr


@pytest.mark.root
def test_those_who_join_see_what_their_user_may(daemon: Daemon) -> None:
    wait_log(daemon, "web", 1)
    cat = ["cat", "/run/secrets/key"]

    assert daemon.run("exec", "web", "--", *cat).stdout == "sesame\n"
    assert "Permission denied" in daemon.run("exec", "-u", "5:5", "web", "--", *cat).stderr
    assert b"sesame\n" in daemon.run("cp", "web:/run/secrets/key", "-", text=False).stdout
    (daemon.directory / "new").write_text("new")
    refused = daemon.run("cp", str(daemon.directory / "new"), "web:/run/secrets/")
    assert "new is on a read-only file system" in refused.stderr


def kept(daemon: Daemon) -> list[Path]:
    """What the daemon keeps of instances' secrets, in files that they give their names."""
    place = SecretStore(daemon.run_dir)._place()
    return list(place.iterdir()) if place.exists() else []


@pytest.mark.root
def test_a_commands_secrets_outlive_the_daemon_and_go_with_the_instance(daemon: Daemon, key: Path) -> None:
    program = ["--", "sh", "-c", "cat /run/secrets/key; sleep 1000"]
    instance = daemon.run("run", "-d", "--name", "one", "--secret", f"key={key}", *program).stdout.strip()
    assert wait_log(daemon, "one", 1) == ["sesame"]
    assert [file.name for file in kept(daemon)] == [instance]
    key.unlink()

    daemon.kill()
    daemon.start()
    daemon.run("restart", "one")

    assert wait_log(daemon, "one", 2) == ["sesame", "sesame"]
    daemon.run("rm", "-f", "one")
    assert kept(daemon) == []


@pytest.mark.root
def test_a_daemon_that_was_killed_leaves_nothing_behind_after_the_next_start(
    daemon: Daemon, key: Path
) -> None:
    arguments = ["--name", "one", "--secret", f"key={key}", "--", "sleep", "1000"]
    daemon.run("run", "-d", "--rm", *arguments)
    first = daemon.instance("one")["pid"]
    (file,) = kept(daemon)
    (file.parent / "0123456789ab").write_text("of an instance that was never recorded")

    daemon.kill()
    os.kill(first, 9)
    daemon.start()

    eventually(lambda: not file.parent.exists(), "that nothing is left")


@pytest.mark.root
def test_what_ends_at_once_leaves_nothing_behind(daemon: Daemon, key: Path) -> None:
    secret = ["--secret", f"key={key}", "--"]

    assert daemon.run("run", "--rm", *secret, "cat", "/run/secrets/key").stdout == "sesame\n"
    assert daemon.run("run", *secret, "/nonsense").returncode == 127
    assert daemon.run("run", "-d", "--memory", "1", *secret, "true").returncode != 0
    assert kept(daemon) == []


@pytest.mark.root
@pytest.mark.parametrize("command", ["prune", "reset"])
def test_what_is_removed_without_a_daemon_leaves_nothing_behind(
    daemon: Daemon, key: Path, command: str
) -> None:
    daemon.run("run", "--name", "one", "--secret", f"key={key}", "--", "true")
    (file,) = kept(daemon)
    daemon.run("down")
    assert file.exists()

    done = daemon.run("system", command, *(["--yes"] if command == "reset" else []))

    assert done.returncode == 0, done.stderr
    assert not file.parent.exists()


@pytest.mark.root
def test_what_a_host_forgot_or_spoiled_is_told(daemon: Daemon, key: Path) -> None:
    daemon.run("run", "--name", "one", "--secret", f"key={key}", "--", "true")
    (file,) = kept(daemon)
    file.write_bytes(file.read_bytes()[:-1])
    assert "writing the secrets" in daemon.run("restart", "one").stderr
    file.write_bytes(bytes(8192))
    assert "the secrets are not valid" in daemon.run("restart", "one").stderr
    file.unlink()

    done = daemon.run("restart", "one")

    assert done.stderr == (
        "kwhost: its secrets are gone, as they are after a restart of the host: remove it, and run it again\n"
    )


@pytest.mark.root
def test_a_request_with_bad_secrets_is_refused_and_says_nothing_of_them(daemon: Daemon) -> None:
    for contents, message in (
        ({"key": "sesame?"}, "secret_contents"),
        ({"key": 5}, "secret_contents"),
        ({"../key": "c2VzYW1l"}, "no name for a secret"),
        ({f"s{number}": "" for number in range(65)}, "may have 64 secrets, not 65"),
    ):
        with pytest.raises(KwhostError, match=message) as refused:
            create(daemon, "one", "true", secret_contents=contents)
        assert "sesame" not in str(refused.value)
    tmpfs = [{"target": "/run/secrets/mine"}]
    with pytest.raises(KwhostError, match="nothing else can be at /run/secrets/mine"):
        create(daemon, "one", "true", start=False, secret_contents={"key": "c2VzYW1l"}, tmpfs=tmpfs)
    assert kept(daemon) == []


@pytest.mark.root
def test_they_leave_memory_to_others(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", tmp_path], check=True)
    try:
        store = SecretStore(tmp_path)
        store.keep(InstanceId("one"), {"key": bytes(SECRETS_SIZE_MAX)})
        with pytest.raises(HostError, match="too little room left to keep secrets"):
            store.keep(InstanceId("two"), {"key": bytes(SECRETS_SIZE_MAX)})
        store.remove(InstanceId("one"))

        store.keep(InstanceId("two"), {"key": bytes(SECRETS_SIZE_MAX)})
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture
def ordinary() -> Iterator[Host]:
    if reason := missing_ability():
        pytest.skip(reason)
    with make_host() as made:
        yield made


@pytest.mark.root
@pytest.mark.net
def test_an_ordinary_user_has_them_too(ordinary: Host, key: Path) -> None:
    program = ["--secret", f"key={key}", "--", "sh", "-c", LOOK]
    assert ordinary.run("run", *program).stdout == "key 0 0 400\nsesame\n"

    configuration = CONFIGURATION.replace("files/key", str(key)).replace("sleep 1000", "sleep 999")
    daemon = OrdinaryDaemon(ordinary, configuration)
    try:
        daemon.start()
        assert daemon.run("run", "--rm", *program).stdout == "key 0 0 400\nsesame\n"
        daemon.wait_state("acme/web", "running")
        eventually(lambda: daemon.run("logs", "web").stdout == "sesame\n", "its log")
        os.chown(key, 1000, 1000)  # who is somebody else there
        daemon.run("restart", "web")
        message = daemon.wait_state("acme/web", "failed")["message"]
        assert message == "cannot read the secret key: Permission denied"
    finally:
        daemon.close()
