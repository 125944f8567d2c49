"""`kwhost policy set`: allow or deny an instance a call from here on."""

from collections.abc import Sequence

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_json, show_result
from kwhost.core.cli.tables import clean, format_table
from kwhost.core.errors import UsageError
from kwhost.core.model.policy import CallAction

__all__ = ["main"]

_USAGE = """kwhost policy set INSTANCE [--json]
       kwhost policy set INSTANCE SYSCALL allow|deny|as-before"""
_DESCRIPTION = """Allow or deny an instance a system call from here on: at once where it runs, and at each
start, until as-before takes it back. Without a call, list what is set. Only operators do this.

It is a rule on top of the instance's own policy. A call that another layer refuses stays refused, which is
said; rules on arguments, files and addresses go on deciding on calls that are allowed. What is denied is
denied whatever its arguments. As every change it stays inside the ceiling that the instance was started with:
stop an instance for more than that."""
_EPILOG = """examples:
  kwhost policy set acme/web-1 mkdir deny
  kwhost policy set acme/web-1 mkdir as-before
  kwhost policy set acme/web-1"""
_AS_BEFORE = "as-before"
_HEADER = ("SYSCALL", "ACTION")


def _parser() -> CommandParser:
    parser = CommandParser("policy", _USAGE, _DESCRIPTION, _EPILOG)
    actions = [*(action.value for action in CallAction), _AS_BEFORE]
    parser.add_argument("action", choices=["set"], metavar="ACTION")
    parser.add_argument("instance", metavar="INSTANCE", help="NAME or TENANT/NAME")
    parser.add_argument("call", nargs="?", metavar="SYSCALL", help="a system call")
    parser.add_argument("wish", nargs="?", choices=actions, help="what becomes of it")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Set one, or list them."""
    options = _parser().parse_args(arguments)
    path = instance_path(options.instance, "policy/rules")
    client = connect(options.host)
    if options.call is None:
        choices = client.request("GET", path)
        if options.json:
            show_json(choices)
        else:
            rows = [(clean(choice["call"]), choice["action"]) for choice in choices]
            show_result(format_table(_HEADER, rows))
        return 0
    if options.wish is None or options.json:
        raise UsageError("write kwhost policy set INSTANCE SYSCALL allow, deny or as-before")
    action = None if options.wish == _AS_BEFORE else options.wish
    client.request("PUT", path, body={"call": options.call, "action": action})
    return 0
