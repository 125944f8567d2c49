"""`kwhost down`: the end of all instances, and of the daemon."""

import os
import select
from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.errors import ApiError

__all__ = ["main"]

_USAGE = "kwhost down [--keep] [--host PATH]"
_DESCRIPTION = """Stop all instances, each once those that depend on it have ended, then the daemon. Instances
that the configuration names are forgotten; others are kept, and can be started under the next daemon."""
_EPILOG = """examples:
  kwhost down
  kwhost down --keep     # end the daemon alone; the next kwhost up finds its instances again"""


_END_SECONDS = 5.0


def _process_of(info: dict[str, Any]) -> int | None:
    """A descriptor of the daemon's process; None where it has ended, or is not within sight."""
    try:
        return os.pidfd_open(info["pid"])
    except OSError:
        return None


def main(arguments: Sequence[str]) -> int:
    """Ask the daemon to end, and wait until it has."""
    parser = CommandParser("down", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--keep", action="store_true", help="leave the instances running")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    client = connect(options.host)
    process = _process_of(client.request("GET", "/v1/info"))
    try:
        client.request("POST", "/v1/shutdown", {"instances": "keep" if options.keep else "stop"})
    except ApiError:  # it may have ended before its answer was complete
        if process is None or not select.select([process], [], [], _END_SECONDS)[0]:
            raise
    if process is not None:
        select.select([process], [], [])
        os.close(process)
    return 0
