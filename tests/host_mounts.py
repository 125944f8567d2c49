"""What is mounted on the host, which instances must leave as it was."""

import os
from pathlib import Path

__all__ = ["host_mounts"]

_WORKERS = "/popen-"  # in the directories of tests that run beside this one (pytest-xdist)


def host_mounts() -> list[str]:
    """A line for each, without what tests beside this one may make: network namespaces with names
    (ip-netns(8)), and what is in their own directories."""
    own = f"{_WORKERS}{os.environ.get('PYTEST_XDIST_WORKER', '')}/"
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if " - nsfs " not in line and (_WORKERS not in line or own in line)]
