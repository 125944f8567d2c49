"""Becoming the daemon, or starting one that goes on by itself."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from kwhost.core.cli.diagnostics import report_failure
from kwhost.core.config.configuration import Configuration
from kwhost.core.errors import Conflict, HostError, KwhostError

__all__ = ["check_no_daemon", "host_here", "start_daemon"]

_READY = b"ready\n"


class _StartError(KwhostError):
    """What the new process said, and its exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.exit_status = status


def check_no_daemon(api: Path) -> None:
    """Raise Conflict where a daemon listens already."""
    from kwhost.core.cli.connection import daemon_answers

    if daemon_answers(api):
        raise Conflict(f"a daemon runs on {api} already; kwhost reload has it apply a changed configuration")


def host_here(configuration: Configuration, ready: Callable[[], None], log_file: Path | None = None) -> None:
    """Be the daemon until told to end."""
    from kwhost.core.daemon.serve import run_daemon  # brings trio and all that hosting needs

    gc.freeze()
    gc.enable()
    os.umask(0o022)  # tenants' users must be able to reach the socket, whoever started the daemon
    run_daemon(configuration, ready, log_file)


def start_daemon(configuration: Configuration) -> None:
    """Start a daemon in a session of its own; returns once its API answers. Raises what it failed of."""
    log_file = configuration.host.state_dir / "daemon.log"
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make the directory {log_file.parent}: {error.strerror}") from error
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_daemon(configuration, log_file, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(len(_READY))
        if said != _READY:
            text = (said + pipe.read()).decode("utf-8", "replace").replace("kwhost: ", "").strip()
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            raise _StartError(text or f"the daemon ended before it was ready; see {log_file}", status)


def _be_daemon(configuration: Configuration, log_file: Path, report: int) -> NoReturn:
    """The new process: what it says goes to `report` until it is ready."""
    status = 0
    try:
        os.setsid()
        os.chdir("/")
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd, source in enumerate((nowhere, nowhere, report)):
            os.dup2(source, fd)
        report = os.dup2(report, 3, inheritable=False)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # what the caller left open is not the daemon's

        def ready() -> None:
            os.write(report, _READY)
            os.close(report)
            log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.dup2(log, 2)
            os.close(log)

        host_here(configuration, ready, log_file)
    except BaseException as error:  # noqa: BLE001 - the edge of this process
        status = report_failure(error)
    finally:
        os._exit(status)
