"""`kwhost inspect`: all about instances."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.protections import list_protections
from kwhost.core.cli.results import show_json

__all__ = ["main"]

_USAGE = "kwhost inspect [--json] [--host PATH] NAME..."
_DESCRIPTION = """Print for each instance, as a JSON list of objects: its status, its definition, its
policy layer by layer, with how often each rule decided, what it uses, and what its monitors counted, with
each system call that it made. Of one that runs without a virtual machine (engine process): which protections
hold, and why others do not."""
_EPILOG = """examples:
  kwhost inspect web-1
  kwhost inspect acme/web-1 | jq '.[0].definition.limits'"""


def main(arguments: Sequence[str]) -> int:
    """Print it."""
    parser = CommandParser("inspect", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("names", nargs="+", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("--json", action="store_true", help="as always")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    client = connect(options.host)
    found: list[dict[str, Any]] = []

    def inspect(name: str) -> None:
        status = client.request("GET", instance_path(name))
        statistics = client.request("GET", instance_path(status["id"], "stats"))
        protections = status["protections"]
        found.append(
            {
                "status": status,
                "definition": client.request("GET", instance_path(status["id"], "definition")),
                "protections": protections and list_protections(**protections),
                "policy": client.request("GET", instance_path(status["id"], "policy")),
                "usage": statistics["usage"],
                "counted": statistics["counted"],
            }
        )

    result = for_each(options.names, inspect)
    show_json(found)
    return result
