"""`kwhost service`: the daemon as a service of systemd."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.config.host import config_file
from kwhost.core.errors import HostError, UsageError

__all__ = ["main", "unit_text"]

_USAGE = "kwhost service install [--config FILE] [--now] | uninstall | show [--config FILE]"
_DESCRIPTION = """Have systemd start `kwhost up` with the host; an ordinary user's, when the user logs in.

install    write the unit and enable it; --now starts it too
uninstall  stop the daemon and remove the unit; instances go on (kwhost down ends them)
show       print the unit that install would write"""
_EPILOG = """examples:
  kwhost service install --config /etc/kwhost/config.toml --now
  kwhost service show"""

_NAME = "kwhost.service"
_RUNNING_SYSTEMD = Path("/run/systemd/system")

# Instances outlive the daemon: only its own process is ended (KillMode), and neither their end for want of
# memory nor their number is the unit's business.
_UNIT = """\
[Unit]
Description=kwhost, which runs programs in micro-VMs
After=local-fs.target network.target

[Service]
Type=notify
ExecStart={kwhost} up {config}
ExecReload={kwhost} --host {api} reload
KillMode=process
Delegate=yes
OOMPolicy=continue
TasksMax=infinity
Restart=on-failure
RestartSec=1s

[Install]
WantedBy={target}
"""


def _quote(path: Path) -> str:
    """As one argument of a command in a unit (systemd.service(5))."""
    text = str(path)
    if not text.isprintable():
        raise UsageError(f"{text!r} cannot stand in a unit of systemd: choose a path of printable characters")
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(special, escaped)
    return f'"{text}"'


def _command() -> Path:
    """The command that is installed beside this interpreter."""
    path = Path(sys.executable).with_name("kwhost")
    if not path.is_file():
        raise HostError(f"the command {path} is missing: install kwhost into this environment with pip")
    if set("$\"'\\") & set(str(path)):  # unlike arguments, a program's name cannot escape them
        raise HostError(f"systemd cannot start {path}: install kwhost into a directory with a plainer name")
    return path


def unit_text(command: Path, config: Path, api: Path, *, user: bool) -> str:
    """The unit that runs `command up config`, whose daemon is reached at `api`."""
    return _UNIT.format(
        kwhost=_quote(command),
        config=_quote(config),
        api=_quote(api),
        target="default.target" if user else "multi-user.target",
    )


def _unit_for(config: Path) -> str:
    """Raises ConfigError for a file with mistakes, with which every start of the host would fail."""
    from kwhost.core.config.load import load_configuration  # not for --help and uninstall

    api = load_configuration(config).host.api
    return unit_text(_command(), config, api, user=os.geteuid() != 0)


def _unit_path() -> Path:
    if os.geteuid() == 0:
        return Path("/etc/systemd/system") / _NAME
    base = os.environ.get("XDG_CONFIG_HOME") or Path(os.environ.get("HOME") or "/") / ".config"
    return Path(base) / "systemd/user" / _NAME


def _require_systemd() -> None:
    if not _RUNNING_SYSTEMD.is_dir():
        raise HostError(
            "this host does not run systemd: have what it runs start `kwhost up FILE`; "
            "kwhost service show prints what a unit would say"
        )


def _systemctl(*arguments: str) -> None:
    command = ["systemctl", *([] if os.geteuid() == 0 else ["--user"]), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise HostError(f"cannot run systemctl: {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise HostError(f"{' '.join(command)} failed: {said}")


def _write_whole(path: Path, text: str) -> None:
    """The file has its old text or all of the new one, whatever happens meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{_NAME}", delete=False) as file:
            try:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error


def _install(config: Path, *, now: bool) -> None:
    _require_systemd()
    path = _unit_path()
    _write_whole(path, _unit_for(config))
    _systemctl("daemon-reload")
    _systemctl("enable", *(["--now"] if now else []), _NAME)
    notice(f"{path} is installed for {config}" + ("" if now else "; it starts with the host"))
    if os.geteuid() != 0:
        notice("it runs while you are logged in; `loginctl enable-linger` lets it run always")


def _uninstall() -> None:
    _require_systemd()
    path = _unit_path()
    if not path.exists():
        raise UsageError(f"there is no {path}: kwhost service install writes it")
    _systemctl("disable", "--now", _NAME)
    try:
        path.unlink()
    except OSError as error:
        raise HostError(f"cannot remove {path}: {error.strerror}") from error
    _systemctl("daemon-reload")
    notice(f"{path} is removed; instances that run go on")


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; returns the exit status."""
    parser = CommandParser("service", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=("install", "uninstall", "show"), metavar="ACTION")
    parser.add_argument("--config", metavar="FILE", help="what to host (your configuration file)")
    parser.add_argument("--now", action="store_true", help="start it too")
    options = parser.parse_args(arguments)
    if options.action != "install" and options.now:
        raise UsageError("--now goes with install")
    if options.action == "uninstall" and options.config:
        raise UsageError("--config goes with install and show")
    config = Path(options.config or config_file(os.environ, os.geteuid())).absolute()
    if options.action == "install":
        _install(config, now=options.now)
    elif options.action == "uninstall":
        _uninstall()
    else:
        show_result(_unit_for(config))
    return 0
