"""Waiting for a process's end without missing the moment: Popen.wait with a timeout polls and sleeps."""

import os
import select
from typing import TYPE_CHECKING, Any

from benchmarks.figures import MeasurementError

if TYPE_CHECKING:
    import subprocess

__all__ = ["wait_process"]


def wait_process(process: "subprocess.Popen[Any]", seconds: float) -> int:
    """The exit status; a process that takes too long is killed, and the measurement fails."""
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            process.kill()
            process.wait()
            raise MeasurementError(f"{process.args!r} did not end within {seconds:.0f} s")
    finally:
        os.close(pidfd)
    return process.wait()
