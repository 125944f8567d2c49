"""A real daemon with directories of its own, and the command line as an operator uses it.

The fixture `kwhostd` (conftest.py) starts one and leaves nothing of it behind.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.api.client import Client
from kwhost.core.errors import ApiError
from tests.patience import SECONDS

__all__ = ["Daemon", "StartDaemon", "eventually"]


StartDaemon = Callable[..., "Daemon"]


def eventually(condition: Callable[[], Any], what: str = "it") -> Any:
    """Poll until the condition holds, and return its value."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen in {SECONDS} seconds")
        time.sleep(0.01)
    return value


class Daemon:
    """`kwhost up` in the foreground of a process of its own; `said` is what it wrote."""

    def __init__(self, configuration: str = "") -> None:
        # Not pytest's directory: the path of a socket may not have more than 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="kwhost-"))
        self.directory.chmod(0o755)
        self.state_dir = self.directory / "state"
        self.run_dir = self.directory / "run"
        self.socket = self.run_dir / "api.sock"
        self.config = self.directory / "kwhost.toml"
        self.config.write_text(configuration)
        self.environment = os.environ | {
            "KWHOST_STATE_DIR": str(self.state_dir),
            "KWHOST_RUN_DIR": str(self.run_dir),
            "KWHOST_HOST": str(self.socket),
        }
        self.process: subprocess.Popen[str] | None = None

    @property
    def client(self) -> Client:
        """The API, with the tests' own user as the caller."""
        return Client(self.socket)

    @property
    def said(self) -> str:
        return (self.directory / "said").read_text()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "kwhost", *arguments]

    def start(self, *arguments: str) -> "Daemon":
        """Start it, and wait until its API answers."""
        with (self.directory / "said").open("a") as said:
            self.process = subprocess.Popen(
                self.command("up", str(self.config), *arguments),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                text=True,
                start_new_session=True,
            )
        eventually(self._answers, "the daemon's start")
        return self

    def _answers(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            pytest.fail(f"the daemon ended with {self.process.returncode}: {self.said}")
        try:
            self.client.request("GET", "/v1/version")
        except ApiError:
            return False
        return True

    def signal(self, number: int) -> int:
        """Send the daemon a signal, and wait for its end."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        """End the daemon as no program can prevent; its instances go on."""
        self.signal(signal.SIGKILL)

    def run(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[Any]":
        """A command of kwhost's with this daemon: captures text unless told otherwise, and has no input."""
        settings: dict[str, Any] = {"text": True, "timeout": SECONDS}
        if "input" not in options:
            settings["stdin"] = subprocess.DEVNULL
        if not {"stdout", "stderr"} & options.keys():
            settings["capture_output"] = True
        return subprocess.run(
            self.command(*arguments), check=False, env=self.environment, **settings | options
        )

    def instance(self, name: str) -> Any:
        """The status of an instance."""
        return self.client.request("GET", f"/v1/instances/{name.replace('/', '%2F')}")

    def wait_state(self, name: str, *states: str) -> Any:
        """Wait until an instance is in one of these states, and return its status."""
        return eventually(
            lambda: (status := self.instance(name))["state"] in states and status,
            f"{name}: {' or '.join(states)}",
        )

    def close(self) -> None:
        """End everything, however it was left."""
        if self.process and self.process.poll() is None:
            self.kill()
        done = self.run("system", "reset", "--yes")
        shutil.rmtree(self.directory)
        assert done.returncode == 0, done.stderr
