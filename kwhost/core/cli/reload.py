"""`kwhost reload`: the daemon reads its configuration again and applies what changed."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_json, show_result

__all__ = ["format_changes", "main"]

_USAGE = "kwhost reload [--json] [--host PATH]"
_DESCRIPTION = """Have the daemon read its configuration again, and apply the difference: only instances that
changed are restarted. A file with mistakes changes nothing."""
_EPILOG = """examples:
  kwhost reload
  kwhost reload --json | jq .restarted"""

_WORDS = {
    "tenants": "changed tenant",
    "created": "created",
    "removed": "removed",
    "restarted": "restarted",
    "adjusted": "adjusted, still running",
    "policies": "has a changed policy, still running",
    "policies_refused": "keeps its policy",
    "refused": "not done",
    "needs_restart": "holds from the daemon's next start on",
}


def format_changes(changes: dict[str, Any]) -> str:
    """One line for each change."""
    lines = [f"{word}: {name}\n" for kind, word in _WORDS.items() for name in changes[kind]]
    return "".join(lines) or "nothing changed\n"


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
