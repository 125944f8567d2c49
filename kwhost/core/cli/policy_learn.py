"""`kwhost policy learn`: run a program, and write the smallest policy under which it does the same again."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kwhost.core.cli.diagnostics import notice, show_tracebacks
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.cli.run import parse_run
from kwhost.core.config.host import load_host_config
from kwhost.core.errors import HostError, UsageError
from kwhost.core.model.instance import GuestLimits

__all__ = ["main"]

_USAGE = "kwhost policy learn [-o FILE] [--policy NAME|FILE.toml] [RUN OPTIONS] -- COMMAND [ARGUMENT...]"
_DESCRIPTION = """Run a program, and write the smallest policy under which it does the same again.

The program runs as by kwhost run, in the foreground, with that command's options. What it does until it ends
(by itself, on ctrl-c, or with --timeout) is permitted by the policy, and nothing else. Have it do all that it
is to do later: each kind of request, each error that it handles.

The policy in force meanwhile is `default`, or the one named: nothing that it refuses is learnt. The exit
status is 0 when the policy was written, whatever the program's was."""
_EPILOG = """examples:
  kwhost policy learn -o report.toml -v ./data:/data:ro -- python3 /data/report.py
  kwhost policy learn -o web.toml --timeout 30s -- python3 -m http.server
  kwhost policy check report.toml
  kwhost run --policy report.toml -v ./data:/data:ro -- python3 /data/report.py"""


def _parser() -> CommandParser:
    parser = CommandParser("policy learn", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (standard output)")
    parser.add_argument(
        "--policy", default="default", metavar="NAME|FILE.toml", help="what is in force (default)"
    )
    return parser


def _split(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options of this command, and the command line for kwhost run. Raises UsageError."""
    parser = _parser()
    if "--" not in arguments:
        parser.parse_known_args(arguments)  # --help
        raise UsageError("write -- before the program: kwhost policy learn [OPTIONS] -- COMMAND")
    end = list(arguments).index("--")
    options, rest = parser.parse_known_args(arguments[:end])
    return options, [*rest, *arguments[end:]]


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options of kwhost run that need a daemon."""
    for name in ("detach", "tenant", "cpus", "host"):
        if getattr(options, name):
            raise UsageError(f"--{name} needs a daemon; kwhost policy learn runs the program itself")


def _write(file: str | None, text: str) -> None:
    if file is None:
        show_result(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}") from error


def main(arguments: Sequence[str]) -> int:
    """Run, learn, write."""
    own, rest = _split(arguments)
    spec, options = parse_run(rest)
    _check(options)
    if options.debug:
        show_tracebacks()
    from kwhost.core.learning import learn_from  # brings cffi, and trio later on

    limits = GuestLimits(pids=options.pids or 0, memory=options.memory or 0)
    run = learn_from(spec, load_host_config(), limits, own.policy, notice)
    if run.crash:
        notice(run.crash)
    if run.exit_status:
        notice(f"the program ended with the status {run.exit_status}; the policy is what it needed so far")
    for warning in run.learnt.warnings:
        notice(warning)
    _write(own.output, run.learnt.text)
    return 0
