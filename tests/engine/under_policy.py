"""`python -m tests.engine.under_policy TABLE run ...`: kwhost's command, with a policy for what it starts.

The table is a file as core.policy.compile makes it. It goes to `supervise` as any policy does.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kwhost.core.abi.record import LaunchFds
from kwhost.core.cli.main import main
from kwhost.core.engines import launch


def run(table: Path, arguments: Sequence[str]) -> int:
    """The exit status of the command."""
    fd = launch.sealed_record(table.read_bytes())
    launch.LaunchFds = partial(LaunchFds, policy=fd)  # type: ignore[attr-defined, assignment]
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
