"""`kwhost events`: the journal of what happened."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_json, show_result
from kwhost.core.cli.tables import clean
from kwhost.core.cli.times import format_time, parse_since

__all__ = ["format_event", "main"]

_USAGE = """kwhost events [-f] [--since TIME] [--tail N] [--tenant T] [--instance NAME] [--json]
                     [--host PATH]"""
_DESCRIPTION = """Show what happened to instances and to the daemon: all that the journal has, or with -f
what is new."""
_EPILOG = """examples:
  kwhost events --since 1h
  kwhost events -f --tenant acme
  kwhost events --tail 20 --instance acme/web-1
  kwhost events --json | jq -r 'select(.kind == "exited") | .name'"""


def format_event(event: dict[str, Any]) -> str:
    """One line."""
    who = f"{event['tenant']}/{event['name']}" if event["name"] else event["tenant"] or "host"
    text = f": {clean(event['text'])}" if event["text"] else ""
    return f"{format_time(event['time'])}  {clean(who)}  {event['kind']}{text}\n"


def main(arguments: Sequence[str]) -> int:
    """Show them."""
    parser = CommandParser("events", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what happens")
    parser.add_argument("--since", metavar="TIME", help="only what is newer: 10m, 2026-11-22T10:00")
    parser.add_argument("--tail", type=int, metavar="N", help="begin with so many of the newest")
    parser.add_argument("--tenant", metavar="T", help="only this tenant's")
    parser.add_argument("--instance", metavar="NAME", help="only what is about this one")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    since = parse_since(options.since)
    query = {
        "follow": options.follow or None,
        # The journal is asked by numbers, not by times.
        "after": 0 if since is not None and options.tail is None else None,
        "tail": options.tail,
        "tenant": options.tenant,
        "instance": options.instance,
    }
    for event in connect(options.host).events("/v1/events", query):
        if event.name == "left-out":
            notice(f"{event.data['count']} events are missing: the journal has dropped them")
        elif since is None or event.data["time"] >= since:
            if options.json:
                show_json(event.data, indent=None)
            else:
                show_result(format_event(event.data))
    return 0
