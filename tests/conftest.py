"""Fixtures for all tests, and what happens where this host lacks what a test needs.

A missing ability skips a test with the reason; KWHOST_MUST (a list such as "kvm,root") makes it fail.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.engines.launch import monitor_path as find_monitor
from kwhost.core.errors import KvmError
from tests.patience import SECONDS

# The same examples each time, however long they take: whoever wants others says
# --hypothesis-profile=default.
settings.load_profile("ci")

# A suite in the background of a script ignores ^C, one under nohup the end of its terminal, and what they
# start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@cache
def _missing_kvm() -> str | None:
    try:
        os.close(open_kvm())
    except KvmError as error:
        return str(error)
    return None


def _missing_root() -> str | None:
    return None if os.geteuid() == 0 else "needs to be root"


def _missing_net() -> str | None:
    return None if os.geteuid() == 0 and shutil.which("ip") else "needs root and iproute2"


def _missing_browser() -> str | None:
    from tests.tui.browser import EXECUTABLES, find_browser  # needs aiohttp, which few tests do

    return None if find_browser() else f"needs a browser: {' or '.join(EXECUTABLES)}"


_ABILITIES: dict[str, Callable[[], str | None]] = {
    "kvm": _missing_kvm,
    "root": _missing_root,
    "net": _missing_net,
    "browser": _missing_browser,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    must = os.environ.get("KWHOST_MUST", "").replace(",", " ").split()
    for marker, missing in _ABILITIES.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            if marker in must:
                pytest.fail(f"KWHOST_MUST names {marker}, but: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def _no_personal_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own configuration and state."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "KWHOST_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KWHOST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KWHOST_RUN_DIR", str(tmp_path / "run"))


class RunKwhost(Protocol):
    """Runs `kwhost run` with the arguments to its end."""

    def __call__(self, args: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]": ...


@pytest.fixture(scope="session")
def kwhost_command() -> list[str]:
    """The command of the tree under test, to which a subcommand is appended."""
    return [sys.executable, "-m", "kwhost"]


@pytest.fixture(scope="session")
def run_kwhost(kwhost_command: list[str]) -> RunKwhost:
    """`run_kwhost(["--", "ls"])`: captures text unless told otherwise, never waits for input."""

    def run(args: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]":
        settings: dict[str, Any] = {"text": True, "timeout": SECONDS}
        if "input" not in options:
            settings["stdin"] = subprocess.DEVNULL
        if not {"stdout", "stderr"} & options.keys():
            settings["capture_output"] = True
        return subprocess.run([*kwhost_command, "run", *args], check=False, **settings | options)

    return run


@pytest.fixture(scope="session")
def monitor_path() -> Path:
    """The monitor's executable."""
    return find_monitor()


@pytest.fixture(scope="session")
def project() -> Path:
    """The top of this checkout."""
    return Path(__file__).resolve().parents[1]
