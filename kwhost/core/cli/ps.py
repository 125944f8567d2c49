"""`kwhost ps`: the instances."""

import shlex
import time
from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_age, format_table
from kwhost.core.model.floors import engine_label

__all__ = ["format_instances", "main"]

_USAGE = "kwhost ps [-a] [--tenant T] [--json] [--host PATH]"
_DESCRIPTION = "List the instances that have not ended."
_EPILOG = """examples:
  kwhost ps
  kwhost ps -a --tenant acme
  kwhost ps --json | jq -r '.[] | select(.health == "unhealthy") | .name'"""

_HEADER = ("ID", "TENANT", "NAME", "STATE", "HEALTH", "FOR", "RESTARTS", "ENGINE", "PORTS", "COMMAND")
# So much of a command's text; all of it is in --json.
_COMMAND_MAX = 60


def _state(instance: dict[str, Any]) -> str:
    if instance["exit_code"] is not None and instance["state"] in ("exited", "failed", "crash-loop"):
        return f"{instance['state']} ({instance['exit_code']})"
    return str(instance["state"])


def _age(instance: dict[str, Any], now: float) -> str:
    since = instance["ended"] or instance["started"] or instance["created"]
    return format_age(max(0.0, now - since))


def _command(instance: dict[str, Any]) -> str:
    text = shlex.join(instance["command"])
    return text if len(text) <= _COMMAND_MAX else f"{text[: _COMMAND_MAX - 3]}..."


def format_instances(instances: Sequence[dict[str, Any]], now: float, width: int | None = None) -> str:
    """The list for people; FOR: how long an instance has run, or been over."""
    rows = (
        (
            instance["id"],
            instance["tenant"],
            instance["name"],
            _state(instance),
            "-" if instance["health"] == "none" else instance["health"],
            _age(instance, now),
            str(instance["restarts"]),
            engine_label(instance["engine"], instance["isolation"]),
            ", ".join(instance["ports"]) or "-",
            _command(instance),
        )
        for instance in instances
    )
    return format_table(_HEADER, rows, width)


def main(arguments: Sequence[str]) -> int:
    """List them."""
    parser = CommandParser("ps", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("-a", "--all", action="store_true", help="those that have ended too")
    parser.add_argument("--tenant", metavar="T", help="only this tenant's")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    query = {"all": options.all or None, "tenant": options.tenant}
    instances = connect(options.host).request("GET", "/v1/instances", query)
    if options.json:
        show_json(instances)
    else:
        show_result(format_instances(instances, time.time(), output_width()))
    return 0
