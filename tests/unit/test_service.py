"""`kwhost service`: the unit, and what is asked of systemd."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.cli import service
from kwhost.core.cli.service import main, unit_text
from kwhost.core.daemon.lock import hold_state
from kwhost.core.daemon.notify import notify_service_manager
from kwhost.core.errors import ConfigError, Conflict, HostError, UsageError
from tests.patience import SECONDS


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "my config.toml"
    path.write_text('[host]\napi = "/run/my/api.sock"\n')
    return path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed command; it does nothing."""
    path = tmp_path / "bin/kwhost"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path.with_name("python")))
    return path


@pytest.fixture
def unit(tmp_path: Path, command: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the unit is installed, on a host with a systemd that notes what it is asked."""
    systemctl = command.with_name("systemctl")
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent))
    monkeypatch.setattr(service, "_RUNNING_SYSTEMD", tmp_path)
    monkeypatch.setattr(service, "_unit_path", lambda: tmp_path / "etc/kwhost.service")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path / "etc/kwhost.service"


def asked(tmp_path: Path) -> list[str]:
    return (tmp_path / "asked").read_text().splitlines()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path, command: Path) -> None:
    path = tmp_path / "kwhost.service"
    path.write_text(unit_text(command, tmp_path / '$a %h "b" \\c.toml', tmp_path / "api.sock", user=False))

    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_instances_alone(command: Path, config: Path) -> None:
    lines = unit_text(command, config, Path("/run/api.sock"), user=False).splitlines()

    assert {"KillMode=process", "Delegate=yes", "Type=notify", "Restart=on-failure"} <= set(lines)
    assert f'ExecStart="{command}" up "{config}"' in lines
    assert f'ExecReload="{command}" --host "/run/api.sock" reload' in lines


def test_install_and_uninstall(tmp_path: Path, unit: Path, config: Path) -> None:
    assert main(["install", "--config", str(config), "--now"]) == 0
    assert f'up "{config}"' in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    assert main(["uninstall"]) == 0

    assert list(unit.parent.iterdir()) == []
    assert asked(tmp_path) == [
        "daemon-reload",
        "enable --now kwhost.service",
        "disable --now kwhost.service",
        "daemon-reload",
    ]


def test_show_prints_and_changes_nothing(
    unit: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "--config", str(config)]) == 0

    assert "[Service]" in capsys.readouterr().out
    assert not unit.exists()


def test_a_configuration_with_mistakes_is_not_installed(unit: Path, config: Path) -> None:
    config.write_text("[host]\nstate_dir = 3\n")

    with pytest.raises(ConfigError):
        main(["install", "--config", str(config)])

    assert not unit.exists()


def test_what_systemd_refuses_is_told(unit: Path, command: Path, config: Path) -> None:
    command.with_name("systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")

    with pytest.raises(HostError, match="daemon-reload failed: no bus"):
        main(["install", "--config", str(config)])


def test_without_systemd_the_way_out_is_named(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_RUNNING_SYSTEMD", tmp_path / "none")

    for arguments in (["install", "--config", str(config)], ["uninstall"]):
        with pytest.raises(HostError, match=r"does not run systemd.*service show"):
            main(arguments)


@pytest.mark.parametrize(
    "arguments", [[], ["instal"], ["show", "--now"], ["uninstall", "--config", "x"], ["install", "x"]]
)
def test_nonsense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        main(arguments)


def test_uninstalling_what_is_not_installed_is_an_error(unit: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        main(["uninstall"])


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    address = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0") if abstract else address)
        manager.settimeout(SECONDS)

        notify_service_manager("READY=1")

        assert manager.recv(100) == b"READY=1"


def test_a_service_manager_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_service_manager("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))

    with pytest.raises(HostError, match="service manager"):
        notify_service_manager("READY=1")


def test_a_state_directory_has_one_holder(tmp_path: Path) -> None:
    with hold_state(tmp_path / "state"):
        with (
            pytest.raises(Conflict, match=r"in use by another kwhost \(process \d+"),
            hold_state(tmp_path / "state"),
        ):
            pass
        with hold_state(tmp_path / "other"):
            pass
    with hold_state(tmp_path / "state"):
        pass


def test_a_full_disk_keeps_nobody_from_a_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)

    with hold_state(tmp_path), pytest.raises(Conflict, match="process unknown"), hold_state(tmp_path):
        pass
