"""`kwhost stats`: what instances use at the moment."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.model.units import format_bytes

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["Sample", "format_usage", "main"]

_USAGE = "kwhost stats [-f] [--json] [--host PATH] [NAME...]"
_DESCRIPTION = """Show what running instances use: all of them, or those that are named. It takes a second, in
which the use of processors is measured."""
_EPILOG = """examples:
  kwhost stats
  kwhost stats --follow web-1 web-2
  kwhost stats --json | jq '.[].usage.memory'"""

_HEADER = (
    "TENANT",
    "NAME",
    "CPU",
    "MEMORY",
    "PIDS",
    "READ",
    "WRITTEN",
    "SENT",
    "RECEIVED",
    "CALLS",
    "NOTIFIED",
    "REFUSED",
    "EXITS",
)
_UNKNOWN = "n/a"
_CLEAR_SCREEN = "\x1b[H\x1b[2J"


class Sample(NamedTuple):
    """What each instance uses, and the seconds on processors that it had used `seconds` before, by id."""

    uses: Sequence[dict[str, Any]]
    before: dict[str, float | None]
    seconds: float = 1.0


def _cpu(sample: Sample, use: dict[str, Any]) -> str:
    now, before = use["usage"]["cpu_seconds"], sample.before.get(use["id"])
    if now is None or before is None:
        return _UNKNOWN
    return f"{max(0.0, now - before) / sample.seconds * 100:.1f} %"


def _amount(value: int | None, limit: int | None = None, *, is_bytes: bool = False) -> str:
    if value is None:
        return _UNKNOWN
    texts = [
        format_bytes(number) if is_bytes else str(number) for number in (value, limit) if number is not None
    ]
    return " / ".join(texts)


def format_usage(sample: Sample, width: int | None = None) -> str:
    """The list for people."""
    rows = []
    for use in sample.uses:
        usage = use["usage"]
        rows.append(
            (
                use["tenant"],
                use["name"],
                _cpu(sample, use),
                _amount(usage["memory"], usage["memory_limit"], is_bytes=True),
                _amount(usage["pids"], usage["pids_limit"]),
                _amount(usage["read_bytes"], is_bytes=True),
                *(
                    _amount(usage[name], is_bytes=True)
                    for name in ("written_bytes", "sent_bytes", "received_bytes")
                ),
                *(_amount(usage[name]) for name in ("calls", "notified", "refused", "exits")),
            )
        )
    return format_table(_HEADER, rows, width)


def _samples(client: "Client", ids: frozenset[str] | None) -> Iterator[Sample]:
    """One a second, the first at once and without what was before."""
    before: dict[str, float | None] = {}
    for event in client.events("/v1/stats", {"follow": True}):
        if event.name != "stats":
            continue  # seconds that were left out: this side was slow
        uses = [use for use in event.data if ids is None or use["id"] in ids]
        yield Sample(uses, before)
        before = {use["id"]: use["usage"]["cpu_seconds"] for use in uses}


def _show(sample: Sample, *, as_json: bool, follow: bool) -> None:
    if as_json:
        show_json(sample.uses, indent=None if follow else 2)
    elif follow and sys.stdout.isatty():
        show_result(_CLEAR_SCREEN + format_usage(sample, output_width()))
    else:
        show_result(format_usage(sample, output_width()))


def main(arguments: Sequence[str]) -> int:
    """Show them."""
    parser = CommandParser("stats", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("names", nargs="*", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("-f", "--follow", action="store_true", help="once a second, until ^C")
    parser.add_argument("--json", action="store_true", help="print JSON: a list, or one for each second")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    client = connect(options.host)
    ids: set[str] = set()
    result = for_each(options.names, lambda name: ids.add(client.request("GET", instance_path(name))["id"]))
    wanted = frozenset(ids) if options.names else None
    for number, sample in enumerate(_samples(client, wanted)):
        if number == 0 and not options.json:
            continue
        _show(sample, as_json=options.json, follow=options.follow)
        if not options.follow:
            break
    return result
