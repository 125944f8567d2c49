"""`kwhost run`: one instance in the foreground."""

import os
from argparse import REMAINDER, Namespace
from collections.abc import Sequence

from kwhost.core.cli.diagnostics import notice, show_tracebacks
from kwhost.core.cli.options import CommandParser, add_later_option
from kwhost.core.errors import NotAvailableYet, UsageError
from kwhost.core.model.ids import InstanceName, instance_name
from kwhost.core.model.instance import Engine, InstanceSpec, Isolation
from kwhost.core.model.units import parse_duration
from kwhost.core.model.volume import parse_volume

__all__ = ["main"]

_USAGE = "kwhost run [OPTIONS] [--] COMMAND [ARGUMENT...]"
_DESCRIPTION = """Run one program directly on the virtual CPU of its own KVM virtual machine.

The exit status is the program's; 125 for an error of kwhost's own, 126 when the program cannot be
executed, 127 when it is not found, 128+N when signal N ended it, 124 when its time was over."""
_EPILOG = """examples:
  kwhost run -- python3 -c 'print(6 * 7)'
  kwhost run -it -- bash
  kwhost run -v ./data:/data:ro -w /data --timeout 30s --stats -- sha256sum file
  kwhost run --rootfs ./alpine -u nobody -- /bin/sh -c id"""

_LATER_WITH_ARGUMENT = (
    ("--host",),
    ("--tenant",),
    ("-p", "--publish"),
    ("--network",),
    ("--memory",),
    ("--cpus",),
    ("--pids",),
    ("--policy",),
)


def _add_program_options(parser: CommandParser) -> None:
    root = parser.add_mutually_exclusive_group()
    root.add_argument("--image", metavar="REF", help="host: this machine's own programs, read-only (default)")
    root.add_argument("--rootfs", metavar="DIR", help="a directory as the root; it is never written to")
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="K=V|K",
        help="set K to V, or to the value that it has here",
    )
    parser.add_argument("-w", "--workdir", default="/", metavar="DIR", help="where the program starts (/)")
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]", help="who it is, by name or number (root)")
    parser.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="SRC:DST[:ro]",
        help="show a directory or file of this host",
    )
    parser.add_argument("--read-only", action="store_true", help="make the root read-only")
    parser.add_argument("--init", action="store_true", help="start it under a process that reaps orphans")


def _add_instance_options(parser: CommandParser) -> None:
    parser.add_argument("-i", "--interactive", action="store_true", help="connect standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="give the program a terminal")
    parser.add_argument("--name", help="the instance's name and host name")
    parser.add_argument("--rm", action="store_true", help="leave no record (always so without a daemon)")
    parser.add_argument("--timeout", metavar="TIME", help="end it after so long, such as 30s; status 124")
    parser.add_argument("--stats", action="store_true", help="show at the end what it did and what that cost")
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, default="auto", help="how it is isolated")
    floors = [floor.value for floor in Isolation]
    parser.add_argument("--isolation", choices=floors, default="vm", help="the least isolation (vm)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")


def _parser() -> CommandParser:
    parser = CommandParser("run", _USAGE, _DESCRIPTION, _EPILOG)
    _add_program_options(parser)
    _add_instance_options(parser)
    for names in _LATER_WITH_ARGUMENT:
        add_later_option(parser, *names, argument=True)
    add_later_option(parser, "-d", "--detach", argument=False)
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="the program and its arguments")
    return parser


def _environment(settings: Sequence[str]) -> dict[str, str]:
    """K=V sets a variable; a bare K takes over the operator's own, if there is one."""
    environment = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key:
            raise UsageError(f"{setting!r} is no variable: write NAME=VALUE, or NAME to pass your own on")
        if equals:
            environment[key] = value
        elif key in os.environ:
            environment[key] = os.environ[key]
    return environment


def _default_name() -> InstanceName:
    return InstanceName(f"run-{os.urandom(4).hex()}")


def parse_run(arguments: Sequence[str]) -> tuple[InstanceSpec, Namespace]:
    """Check the command line by itself."""
    options = _parser().parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command or not command[0]:
        raise UsageError("there is no command to run; kwhost run --help shows examples")
    timeout = parse_duration(options.timeout) if options.timeout is not None else None
    if timeout is not None and timeout <= 0:
        raise UsageError("--timeout must be longer than nothing")
    spec = InstanceSpec(
        argv=tuple(command),
        name=instance_name(options.name) if options.name is not None else _default_name(),
        image=options.image or "host",
        rootfs=options.rootfs,
        environment=_environment(options.env),
        workdir=options.workdir,
        user=options.user,
        volumes=tuple(parse_volume(text) for text in options.volume),
        interactive=options.interactive,
        terminal=options.tty,
        init=options.init,
        read_only=options.read_only,
        engine=Engine(options.engine),
        isolation=Isolation(options.isolation),
        timeout=timeout,
    )
    return spec, options


def main(arguments: Sequence[str]) -> int:
    """Run the instance; returns the exit status."""
    spec, options = parse_run(arguments)
    if options.debug:
        show_tracebacks()
    if os.environ.get("KWHOST_HOST"):
        raise NotAvailableYet("talking to a daemon, which KWHOST_HOST asks for,")
    from kwhost.core.local import run_instance  # brings trio: not for usage errors and --help

    outcome = run_instance(spec, notice, want_statistics=options.stats)
    if outcome.crash:
        notice(outcome.crash)
    if options.stats and outcome.statistics:
        from kwhost.core.cli.statistics import show_statistics

        show_statistics(outcome.statistics)
    return outcome.exit_status
