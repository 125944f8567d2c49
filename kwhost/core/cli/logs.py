"""`kwhost logs`: what instances' programs wrote."""

import os
import sys
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_json
from kwhost.core.cli.tables import clean
from kwhost.core.cli.times import format_time, parse_since
from kwhost.core.errors import HostError, KwhostError, UsageError

if TYPE_CHECKING:
    from kwhost.core.api.client import Client, ServerEvent

__all__ = ["Printer", "main"]

_USAGE = "kwhost logs [-f] [--tail N] [--since TIME] [-t] [--raw] [--json] [--host PATH] NAME..."
_DESCRIPTION = """Show what programs wrote: their standard output on standard output, their standard error on
standard error. On a terminal control characters are shown as escapes, unless --raw."""
_EPILOG = """examples:
  kwhost logs web-1
  kwhost logs -f --tail 10 web-1 web-2
  kwhost logs --since 10m -t acme/worker 2>/dev/null"""


class Printer:
    """Writes entries to the two streams; with several instances behind their names."""

    def __init__(self, *, names: bool, timestamps: bool, raw: bool, json: bool) -> None:
        self._names = names
        self._timestamps = timestamps
        self._json = json
        self._outputs = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._clean = {name: not raw and file.isatty() for name, file in self._outputs.items()}
        self._unfinished: set[tuple[str, str]] = set()

    def show(self, name: str, entry: dict[str, Any]) -> None:
        """Write one entry. Raises HostError where that fails."""
        if self._json:
            show_json({"name": name, **entry}, indent=None)
            return
        key = (name, entry["stream"])
        text = entry["text"]
        if self._clean[entry["stream"]]:
            text = "\t".join(clean(part) for part in text.split("\t"))
        if key not in self._unfinished:
            text = self._prefix(name, entry) + text
        self._unfinished.discard(key)
        if entry["partial"]:
            self._unfinished.add(key)
        else:
            text += "\n"
        file = self._outputs[entry["stream"]]
        try:
            # The program's own bytes, whatever they are.
            file.buffer.write(text.encode("utf-8", "surrogateescape"))
            file.buffer.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())  # what is left fails no more at the end
            raise HostError(f"cannot write {entry['stream']}: {error.strerror}") from error

    def _prefix(self, name: str, entry: dict[str, Any]) -> str:
        time = f"{format_time(entry['time'])} " if self._timestamps else ""
        return f"{name} | {time}" if self._names else time


class _Entry(NamedTuple):
    name: str
    event: "ServerEvent"

    @property
    def time(self) -> float:
        """When it was written; what tells of a gap comes at once."""
        return float(self.event.data.get("time", 0.0))


def _read(client: "Client", name: str, query: dict[str, Any]) -> Iterator[_Entry]:
    for event in client.events(instance_path(name, "logs"), query):
        yield _Entry(name, event)


def _follow(client: "Client", names: Sequence[str], query: dict[str, Any]) -> Iterator[_Entry]:
    """All of them as they come: one thread for each. A failure is raised once all else has ended."""
    from queue import Queue
    from threading import Thread

    arrived: Queue[_Entry | KwhostError | None] = Queue(1000)

    def follow(name: str) -> None:
        try:
            for entry in _read(client, name, query):
                arrived.put(entry)
            arrived.put(None)
        except KwhostError as error:
            arrived.put(error)

    for name in names:
        Thread(target=follow, args=(name,), daemon=True).start()
    failure = None
    for _ in names:
        while isinstance(item := arrived.get(), _Entry):
            yield item
        failure = item or failure
    if failure:
        raise failure


def _entries(client: "Client", names: Sequence[str], query: dict[str, Any]) -> Iterator[_Entry]:
    if len(names) == 1:
        return _read(client, names[0], query)
    if query["follow"]:
        return _follow(client, names, query)
    return merge(*(_read(client, name, query) for name in names), key=lambda entry: entry.time)


def _parser() -> CommandParser:
    parser = CommandParser("logs", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("names", nargs="+", metavar="NAME", help="NAME, TENANT/NAME or ID")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written")
    parser.add_argument("--tail", type=int, metavar="N", help="only the last N lines of each")
    parser.add_argument("--since", metavar="TIME", help="only what is newer: 10m, 2026-11-22T10:00")
    parser.add_argument("-t", "--timestamps", action="store_true", help="begin each line with its time")
    parser.add_argument("--raw", action="store_true", help="leave control characters as they are")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each entry")
    add_host_option(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Show them."""
    options = _parser().parse_args(arguments)
    if options.tail is not None and options.tail < 0:
        raise UsageError("--tail must not be negative")
    query = {
        "follow": options.follow or None,
        "tail": options.tail,
        "since": parse_since(options.since),
    }
    client = connect(options.host)
    found: list[str] = []

    def look(name: str) -> None:
        client.request("GET", instance_path(name))
        found.append(name)

    result = for_each(options.names, look)
    printer = Printer(
        names=len(options.names) > 1, timestamps=options.timestamps, raw=options.raw, json=options.json
    )
    for entry in _entries(client, found, query) if found else ():
        if entry.event.name == "line":
            printer.show(entry.name, entry.event.data)
        else:
            count = entry.event.data["count"]
            missing = "lines" if count is None else f"{count} lines"
            notice(f"{entry.name}: {missing} are missing: they were dropped unread")
    return result
