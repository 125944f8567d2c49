"""Commands that do one thing with each of the instances that they name, and print the names."""

import signal
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.errors import UsageError
from kwhost.core.model.units import parse_duration

__all__ = ["kill", "pause", "remove", "restart", "resume", "signal_number", "start", "stop", "wait"]


class _Operation(NamedTuple):
    """`options` is the usage of what goes before the names; `query` makes the request's from what was
    given."""

    command: str
    description: str
    example: str
    path: str = ""
    method: str = "POST"
    options: str = ""
    query: Callable[[Any], dict[str, Any]] = lambda _: {}


def signal_number(text: str) -> int:
    """A signal by its number or name, with or without SIG."""
    name = text.upper()
    found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if isinstance(found, signal.Signals):
        return int(found)
    if text.isascii() and text.isdecimal() and 1 <= int(text[:4]) <= signal.NSIG - 1:
        return int(text)
    raise UsageError(f"there is no signal {text!r}; kill -l lists them")


def _timeout(options: Any) -> dict[str, Any]:
    return {"timeout": None if options.time is None else parse_duration(options.time)}


def _parser(operation: _Operation) -> CommandParser:
    usage = f"kwhost {operation.command} {operation.options}[--host PATH] NAME..."
    parser = CommandParser(operation.command, usage, operation.description, f"examples:\n{operation.example}")
    parser.add_argument("names", nargs="+", metavar="NAME", help="NAME, TENANT/NAME or ID")
    add_host_option(parser)
    return parser


def _perform(operation: _Operation, parser: CommandParser, arguments: Sequence[str]) -> int:
    options = parser.parse_args(arguments)
    query = operation.query(options)
    client = connect(options.host)

    def perform(name: str) -> None:
        client.request(operation.method, instance_path(name, operation.path), query)
        show_result(f"{name}\n")

    return for_each(options.names, perform)


def _plain(operation: _Operation, arguments: Sequence[str]) -> int:
    return _perform(operation, _parser(operation), arguments)


def start(arguments: Sequence[str]) -> int:
    """`kwhost start`."""
    description = "Start instances that were created or have ended; returns once their programs run."
    return _plain(_Operation("start", description, "  kwhost start web-1 web-2", "start"), arguments)


def pause(arguments: Sequence[str]) -> int:
    """`kwhost pause`."""
    description = "Freeze instances: they keep their memory and connections, and use no processor."
    return _plain(_Operation("pause", description, "  kwhost pause acme/worker", "pause"), arguments)


def resume(arguments: Sequence[str]) -> int:
    """`kwhost resume`."""
    description = "Let frozen instances go on."
    return _plain(_Operation("resume", description, "  kwhost resume acme/worker", "resume"), arguments)


def _with_time(operation: _Operation, arguments: Sequence[str]) -> int:
    parser = _parser(operation)
    text = "until it is killed, such as 5 or 1m (its stop_timeout)"
    parser.add_argument("-t", "--time", metavar="SECONDS", help=text)
    return _perform(operation, parser, arguments)


def stop(arguments: Sequence[str]) -> int:
    """`kwhost stop`."""
    description = "Ask programs to end with SIGTERM, kill those that do not, and wait until they have ended."
    example = "  kwhost stop web-1\n  kwhost stop -t 2 acme/web-1 acme/web-2"
    operation = _Operation("stop", description, example, "stop", options="[-t SECONDS] ", query=_timeout)
    return _with_time(operation, arguments)


def restart(arguments: Sequence[str]) -> int:
    """`kwhost restart`."""
    description = "Stop instances as kwhost stop does, and start them again."
    example = "  kwhost restart web-1"
    operation = _Operation(
        "restart", description, example, "restart", options="[-t SECONDS] ", query=_timeout
    )
    return _with_time(operation, arguments)


def kill(arguments: Sequence[str]) -> int:
    """`kwhost kill`."""
    description = "Send a signal to the first process of instances."
    operation = _Operation(
        "kill",
        description,
        "  kwhost kill web-1\n  kwhost kill -s HUP web-1",
        "kill",
        options="[-s SIGNAL] ",
        query=lambda options: {"signal": signal_number(options.signal)},
    )
    parser = _parser(operation)
    parser.add_argument("-s", "--signal", default="KILL", help="its name or number (KILL)")
    return _perform(operation, parser, arguments)


def remove(arguments: Sequence[str]) -> int:
    """`kwhost rm`."""
    operation = _Operation(
        "rm",
        "Forget instances and delete their logs. One that runs is refused without --force.",
        "  kwhost rm run-3a7b\n  kwhost rm -f acme/job",
        method="DELETE",
        options="[-f] ",
        query=lambda options: {"force": options.force or None},
    )
    parser = _parser(operation)
    parser.add_argument("-f", "--force", action="store_true", help="kill it first if it runs")
    return _perform(operation, parser, arguments)


def wait(arguments: Sequence[str]) -> int:
    """`kwhost wait`."""
    description = (
        "Wait until instances have ended and will not be restarted by themselves; print their exit codes."
    )
    operation = _Operation("wait", description, "  kwhost wait acme/job", "wait")
    options = _parser(operation).parse_args(arguments)
    client = connect(options.host)

    def wait_for(name: str) -> None:
        code = client.request("POST", instance_path(name, "wait"))["exit_code"]
        show_result(f"{'unknown' if code is None else code}\n")

    return for_each(options.names, wait_for)
