"""`kwhost exec`: a further program in a running instance."""

import os
from argparse import REMAINDER
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.variables import add_variable_option, read_variables
from kwhost.core.errors import UsageError

if TYPE_CHECKING:
    from kwhost.core.model.instance import TerminalSize

__all__ = ["main"]

_USAGE = "kwhost exec [-i] [-t] [-e K=V] [-w DIR] [-u USER] [--host PATH] NAME [--] COMMAND [ARGUMENT...]"
_DESCRIPTION = """Run a program in an instance that runs: in a virtual machine of its own, with the instance's
files, network and limits. The exit status is the program's; 126 when it cannot be executed, 127 when it is
not found, 128+N when signal N ended it. The program ends with this command; so ctrl-p ctrl-q, with -it,
ends both."""
_EPILOG = """examples:
  kwhost exec -it web-1 -- bash
  kwhost exec acme/db -- pg_dump shop > shop.sql
  kwhost exec -i web-1 -- tee /tmp/greeting < greeting.txt"""


def _parser() -> CommandParser:
    parser = CommandParser("exec", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("-i", "--interactive", action="store_true", help="connect standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="give the program a terminal")
    add_variable_option(parser)
    parser.add_argument("-w", "--workdir", metavar="DIR", help="where it starts (the instance's)")
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]", help="who it is (the instance's)")
    add_host_option(parser)
    parser.add_argument("name", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="the program and its arguments")
    return parser


def _body(options: Any, command: Sequence[str], size: "TerminalSize | None") -> dict[str, Any]:
    variables = read_variables(options.env)
    if options.tty:
        variables = {"TERM": os.environ.get("TERM") or "xterm"} | variables
    return {
        "command": command,
        "environment": variables,
        "workdir": options.workdir,
        "user": options.user,
        "terminal": {"rows": size.rows, "columns": size.columns} if size else None,
        "interactive": options.interactive,
    }


def main(arguments: Sequence[str]) -> int:
    """Run it; returns its exit status."""
    options = _parser().parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command or not command[0]:
        raise UsageError("there is no command to run; kwhost exec --help shows examples")
    from kwhost.core.cli.conversation import converse, wish  # not for --help
    from kwhost.core.model.instance import TerminalSize

    wanted = wish(interactive=options.interactive, tty=options.tty)
    size = (wanted.terminal and wanted.terminal.size()) or TerminalSize()
    body = _body(options, command, size if options.tty else None)
    stream = connect(options.host).upgrade(instance_path(options.name, "exec"), body=body)
    return converse(stream, wanted) or 0
