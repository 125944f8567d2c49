"""Ordinary commands: timed, or asked for what they measured."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import MeasurementError, NotMeasurable
from benchmarks.instances import parse_figures
from benchmarks.waiting import wait_process

__all__ = ["figures_of", "find_program", "output_of", "time_command"]

_SECONDS = 120
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}

Command = Sequence[str | Path]


def _run(command: Command) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env=_ENVIRONMENT,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MeasurementError(f"{command[0]} ended with {done.returncode}: {said[-1] if said else ''}")
    return done


def find_program(name: str) -> str:
    """Its path. NotMeasurable where it is not installed."""
    path = shutil.which(name, path=_ENVIRONMENT["PATH"])
    if path is None:
        raise NotMeasurable(f"{name} is not installed")
    return path


def time_command(command: Command) -> float:
    """From its start to its end as the caller sees it, in nanoseconds."""
    started = time.monotonic_ns()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
    )
    status = wait_process(process, _SECONDS)
    wall = time.monotonic_ns() - started
    if status:
        _run(command)  # once more, for what it says
        raise MeasurementError(f"{command[0]} ended with {status}")
    return wall


def output_of(command: Command) -> str:
    """What a command prints."""
    return _run(command).stdout


def figures_of(command: Command) -> dict[str, float]:
    """What one of our own programs measured."""
    return parse_figures(output_of(command))
