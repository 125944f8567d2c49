"""`kwhost attach`: in front of a program that runs."""

from collections.abc import Sequence

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser

__all__ = ["main"]

_USAGE = "kwhost attach [--no-stdin] [--host PATH] NAME"
_DESCRIPTION = """Connect to the program of an instance: what it writes from now on comes here, signals go to
it, and input too where it was given -i. The exit status is the program's. On its terminal, ctrl-p ctrl-q lets
go of it, and it goes on."""
_EPILOG = """examples:
  kwhost run -dit --name shell -- bash && kwhost attach shell"""


def main(arguments: Sequence[str]) -> int:
    """Attach; returns the program's exit status."""
    parser = CommandParser("attach", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--no-stdin", action="store_true", help="leave its input alone")
    add_host_option(parser)
    parser.add_argument("name", metavar="NAME", help="NAME, TENANT/NAME or ID")
    options = parser.parse_args(arguments)
    from kwhost.core.cli.conversation import converse, wish  # not for --help

    client = connect(options.host)
    definition = client.request("GET", instance_path(options.name, "definition"))
    stdin = definition["interactive"] and not options.no_stdin
    wanted = wish(interactive=stdin, tty=definition["terminal"])
    stream = client.upgrade(instance_path(options.name, "attach"), {"stdin": stdin})
    return converse(stream, wanted) or 0
