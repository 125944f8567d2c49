"""`kwhost top`: the processes of an instance."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.model.units import format_bytes

__all__ = ["format_processes", "main"]

_USAGE = "kwhost top [--json] [--host PATH] NAME"
_DESCRIPTION = (
    "List the processes of an instance, oldest first, with the numbers that they have on this host."
)
_EPILOG = """examples:
  kwhost top web-1"""


def format_processes(processes: Sequence[dict[str, Any]]) -> str:
    """The list for people."""
    return format_table(
        ("PID", "USER", "THREADS", "CPU", "MEMORY", "COMMAND"),
        (
            (
                str(each["pid"]),
                each["user"],
                str(each["threads"]),
                f"{each['cpu_seconds']:.2f} s",
                format_bytes(each["memory"]),
                each["command"],
            )
            for each in processes
        ),
        output_width(),
    )


def main(arguments: Sequence[str]) -> int:
    """List them."""
    parser = CommandParser("top", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("name", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    client = connect(options.host)
    processes = client.request("GET", instance_path(options.name, "top"))
    if options.json:
        show_json(processes)
    else:
        show_result(format_processes(processes))
    return 0
