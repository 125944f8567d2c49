"""`kwhost reload`: the daemon reads its configuration again and applies what changed."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_json, show_result
from kwhost.core.model.daemon import change_lines

__all__ = ["format_changes", "main"]

_USAGE = "kwhost reload [--json] [--host PATH]"
_DESCRIPTION = """Have the daemon read its configuration again, and apply the difference: only instances that
changed are restarted. A file with mistakes changes nothing."""
_EPILOG = """examples:
  kwhost reload
  kwhost reload --json | jq .restarted"""


def format_changes(changes: dict[str, Any]) -> str:
    """One line for each change."""
    return "".join(f"{line}\n" for line in change_lines(changes)) or "nothing changed\n"


def main(arguments: Sequence[str]) -> int:
    """Reload and say what changed."""
    parser = CommandParser("reload", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    changes = connect(options.host).request("POST", "/v1/reload")
    if options.json:
        show_json(changes)
    else:
        show_result(format_changes(changes))
    return 0
