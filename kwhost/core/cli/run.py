"""`kwhost run`: one instance, by the daemon where one runs, else by this process."""

import os
from argparse import REMAINDER, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.cli.connection import add_host_option, daemon_answers
from kwhost.core.cli.diagnostics import notice, show_tracebacks
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.variables import add_variable_option, read_variables
from kwhost.core.config.host import HostConfig, load_host_config
from kwhost.core.errors import UsageError
from kwhost.core.model.chosen import Changes, Restart
from kwhost.core.model.ids import InstanceName, instance_name, tenant_name
from kwhost.core.model.instance import Engine, GuestLimits, InstanceSpec, Isolation
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.model.ports import parse_port
from kwhost.core.model.units import parse_bytes, parse_duration

if TYPE_CHECKING:  # few runs have any
    from kwhost.core.model.secrets import Secret
    from kwhost.core.model.tmpfs import Tmpfs
    from kwhost.core.model.volume import Volume

__all__ = ["main"]

_USAGE = "kwhost run [OPTIONS] [--] [COMMAND [ARGUMENT...]]"
_DESCRIPTION = """Run one program directly on the virtual CPU of its own KVM virtual machine.

The exit status is the program's; 125 for an error of kwhost's own, 126 when the program cannot be
executed, 127 when it is not found, 128+N when signal N ended it, 124 when its time was over.

Where a daemon runs (kwhost up) it runs the program: within control groups, with a log, and kept in its list
until kwhost rm, unless --rm. With -it, ctrl-p ctrl-q lets go of it. Without a daemon the program ends with
this command; --memory then bounds the private memory that it may ask for, and --cpus cannot be held."""
_EPILOG = """examples:
  kwhost run -- python3 -c 'print(6 * 7)'
  kwhost run -it -- bash
  kwhost run -v ./data:/data:ro -w /data --timeout 30s --stats -- sha256sum file
  kwhost run --image app:1 --memory 128M
  kwhost run --image app:1 -v data:/var/lib/app
  kwhost run --image app:1 --secret key=./key.pem --tmpfs /tmp:size=64M
  kwhost run --rootfs ./alpine -u nobody -- /bin/sh -c id
  kwhost run -d --name web --memory 128M --cpus 0.5 -p 8080:8000 -- python3 -m http.server"""

# What counts memory and processes is a signed 64-bit number further down.
_LIMIT_MOST = 2**62


def _add_program_options(parser: CommandParser) -> None:
    root = parser.add_mutually_exclusive_group()
    text = "NAME[:TAG], or host: this machine's own programs, read-only (default)"
    root.add_argument("--image", metavar="REF", help=text)
    root.add_argument("--rootfs", metavar="DIR", help="a directory as the root; it is never written to")
    text = "what comes before COMMAND instead of the image's entrypoint; the image's command does not count"
    parser.add_argument("--entrypoint", metavar="PROGRAM", help=text)
    add_variable_option(parser)
    parser.add_argument("-w", "--workdir", metavar="DIR", help="where the program starts (the image's, or /)")
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]", help="who it is, by name or number (root)")
    parser.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="SRC:DST[:ro]",
        help="show a volume, by its name, or a directory or file of this host",
    )
    text = "files in memory, of the options size (64M), mode (1777), uid, gid and exec; also as -v tmpfs:DST"
    parser.add_argument("--tmpfs", action="append", default=[], metavar="DST[:OPTION,...]", help=text)
    text = "show what FILE has now as /run/secrets/NAME, to its user alone; FILE may be a pipe"
    parser.add_argument("--secret", action="append", default=[], metavar="NAME=FILE", help=text)
    text = "where what it writes to its root goes: memory (default), or disk; needs a daemon"
    parser.add_argument("--changes", choices=[each.value for each in Changes], default="memory", help=text)
    parser.add_argument("--read-only", action="store_true", help="make the root read-only")
    text = "what system calls it may make: default, strict, web, one of the daemon's, or a policy file"
    parser.add_argument("--policy", default=DEFAULT_POLICY, metavar="NAME|FILE.toml", help=text)
    parser.add_argument("--init", action="store_true", help="start it under a process that reaps orphans")


def _add_instance_options(parser: CommandParser) -> None:
    parser.add_argument("-i", "--interactive", action="store_true", help="connect standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="give the program a terminal")
    parser.add_argument("--name", help="the instance's name and host name")
    parser.add_argument("--rm", action="store_true", help="leave no record (always so without a daemon)")
    text = "leave it to the daemon, starting one where none runs, and print its id"
    parser.add_argument("-d", "--detach", action="store_true", help=text)
    parser.add_argument("--tenant", metavar="T", help="whose it is (default); needs a daemon")
    restarts = [restart.value for restart in Restart]
    text = "what follows its end, where nobody stopped it (no); needs a daemon"
    parser.add_argument("--restart", choices=restarts, default="no", help=text)
    parser.add_argument("--timeout", metavar="TIME", help="end it after so long, such as 30s; status 124")
    parser.add_argument("--stats", action="store_true", help="show at the end what it did and what that cost")
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, default="auto", help="how it is isolated")
    floors = [floor.value for floor in Isolation]
    text = "the least isolation: vm, or with a daemon the tenant's"
    parser.add_argument("--isolation", choices=floors, help=text)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")


def _add_limit_options(parser: CommandParser) -> None:
    parser.add_argument("--memory", metavar="SIZE", help="what it may use, such as 256M")
    parser.add_argument("--storage", metavar="SIZE", help="what it may write to its root; needs a daemon")
    parser.add_argument("--cpus", metavar="N", help="CPUs' worth of time, such as 1.5; needs a daemon")
    parser.add_argument("--pids", metavar="N", help="processes and threads")
    text = "none, tenant, host or a plugin's; the default is the tenant's; without a daemon, none"
    parser.add_argument("--network", metavar="NAME", help=text)
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="[IP:]HOST:GUEST[/udp]",
        help="lead a port of this host to one of its own; on 127.0.0.1 without an IP",
    )
    text = "lead free ports of 127.0.0.1 to all that the image exposes (kwhost ps shows them); needs a daemon"
    parser.add_argument("-P", "--publish-all", action="store_true", help=text)


def _parser() -> CommandParser:
    parser = CommandParser("run", _USAGE, _DESCRIPTION, _EPILOG)
    _add_program_options(parser)
    _add_instance_options(parser)
    _add_limit_options(parser)
    add_host_option(parser)
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="the program and its arguments")
    return parser


def _read_limits(options: Namespace) -> None:
    """Turn the texts of limits into numbers. Raises UsageError."""
    if options.memory is not None:
        options.memory = parse_bytes(options.memory)
    if options.storage is not None:
        options.storage = parse_bytes(options.storage)
    for name, number in (("cpus", float), ("pids", int)):
        text = getattr(options, name)
        try:
            setattr(options, name, None if text is None else number(text))
        except ValueError as error:
            raise UsageError(f"--{name} must be a number, not {text!r}") from error
    for name in ("memory", "storage", "cpus", "pids"):
        value = getattr(options, name)
        if value is not None and not 0 < value < _LIMIT_MOST:
            raise UsageError(f"--{name} must be more than 0, and less than 2^62")


def _default_name() -> InstanceName:
    return InstanceName(f"run-{os.urandom(4).hex()}")


def _visible(options: Namespace) -> "tuple[tuple[Volume, ...], tuple[Tmpfs, ...]]":
    """Its volumes, and what it has in memory."""
    if not (options.volume or options.tmpfs):
        return (), ()
    from kwhost.core.model.tmpfs import by_place, parse_tmpfs, parse_visible, sized, split_visible

    volumes, tmpfs = split_visible(parse_visible(text) for text in options.volume)
    tmpfs = sized((*tmpfs, *(parse_tmpfs(text) for text in options.tmpfs)), options.memory)
    by_place(volumes, tmpfs, has_secrets=bool(options.secret))
    return volumes, tmpfs


def _secrets(texts: Sequence[str]) -> "tuple[Secret, ...]":
    if not texts:
        return ()
    from kwhost.core.model.secrets import parse_secret

    return tuple(parse_secret(text) for text in texts)


def parse_run(arguments: Sequence[str]) -> tuple[InstanceSpec, Namespace]:
    """Check the command line by itself."""
    options = _parser().parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    named = options.image not in (None, "host")
    entrypoint = None if options.entrypoint is None else tuple(filter(None, [options.entrypoint]))
    words = [*(entrypoint or ()), *command]
    if (words and not words[0]) or not (words or named):
        raise UsageError("there is no command to run; kwhost run --help shows examples")
    timeout = parse_duration(options.timeout) if options.timeout is not None else None
    if timeout is not None and timeout <= 0:
        raise UsageError("--timeout must be longer than nothing")
    _read_limits(options)
    options.publish = tuple(parse_port(text) for text in options.publish)
    if options.tenant is not None:
        tenant_name(options.tenant)
    volumes, tmpfs = _visible(options)
    if options.detach and options.stats:
        raise UsageError("--stats shows what there was at the end; with -d, use kwhost stats")
    spec = InstanceSpec(
        argv=tuple(command),
        name=instance_name(options.name) if options.name is not None else _default_name(),
        image=options.image or "host",
        rootfs=options.rootfs,
        entrypoint=entrypoint,
        environment=read_variables(options.env),
        workdir=options.workdir,
        user=options.user,
        volumes=volumes,
        tmpfs=tmpfs,
        secrets=_secrets(options.secret),
        interactive=options.interactive,
        terminal=options.tty,
        init=options.init,
        read_only=options.read_only,
        engine=Engine(options.engine),
        isolation=Isolation(options.isolation or Isolation.VM.value),
        timeout=timeout,
    )
    return spec, options


def _run_here(spec: InstanceSpec, options: Namespace, host: HostConfig) -> int:
    if options.cpus is not None:
        raise UsageError("--cpus needs control groups, which only a daemon makes: kwhost up -d starts one")
    if options.publish_all:
        raise UsageError("-P needs a daemon: kwhost up -d starts one")
    if options.storage is not None or options.changes != Changes.MEMORY.value:
        raise UsageError("--storage and --changes need a daemon: kwhost up -d starts one")
    if options.network not in (None, "none", "tenant"):
        raise UsageError(f"the network {options.network!r} needs a daemon: kwhost up -d starts one")
    if options.restart != Restart.NO.value:
        raise UsageError("--restart needs a daemon: kwhost up -d CONFIG starts one")
    if options.tenant is not None:
        raise UsageError("--tenant needs a daemon: kwhost up -d CONFIG starts one")
    from kwhost.core.local import run_instance  # brings trio: not for usage errors and --help

    spec = replace(spec, network=options.network or "none", ports=options.publish)
    limits = GuestLimits(pids=options.pids or 0, memory=options.memory or 0)
    outcome = run_instance(spec, host, limits, notice, want_statistics=options.stats, policy=options.policy)
    if outcome.crash:
        notice(outcome.crash)
    if options.stats and outcome.statistics:
        from kwhost.core.cli.statistics import show_statistics

        show_statistics(outcome.statistics, outcome.rules)
    return outcome.exit_status


def main(arguments: Sequence[str]) -> int:
    """Run the instance; returns the exit status."""
    spec, options = parse_run(arguments)
    if options.debug:
        show_tracebacks()
    host = load_host_config()
    asked = options.host or os.environ.get("KWHOST_HOST")
    running = daemon_answers(Path(asked) if asked else host.api)
    if options.detach and not running:
        from kwhost.core.cli.daemon_process import start_daemon
        from kwhost.core.cli.up import chosen_configuration

        configuration = chosen_configuration(None, options.host)
        start_daemon(configuration)
        notice(f"started a daemon on {configuration.host.api}; kwhost down ends it with its instances")
        running = True
    if running or asked:
        from kwhost.core.cli.run_hosted import run_hosted  # brings http

        return run_hosted(spec, options)
    return _run_here(spec, options, host)
