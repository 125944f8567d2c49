"""The command `kwhost`: finds the subcommand, loads its file, runs it and reports its failure."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from kwhost.core.cli.diagnostics import report_failure, show_tracebacks
from kwhost.core.cli.results import show_result
from kwhost.core.errors import NotAvailableYet, UsageError

__all__ = ["entry", "main"]

# Each command's module has `main(arguments) -> exit status`.
_COMMANDS = {
    "run": "run a program in a micro-VM of its own",
    "doctor": "say what this host offers, and what to do about what is missing",
}
# Of the contract, and not built yet: naming one is answered, not mistaken for a spelling error.
_LATER = (
    "up",
    "down",
    "reload",
    "ps",
    "stats",
    "inspect",
    "logs",
    "exec",
    "attach",
    "stop",
    "kill",
    "pause",
    "resume",
    "restart",
    "rm",
    "cp",
    "events",
    "top",
    "image",
    "volume",
    "tenant",
    "policy",
    "tui",
    "plugin",
    "service",
    "system",
)

_HELP = """usage: kwhost [--debug] COMMAND [ARGUMENT...]

Runs unmodified Linux programs, each in a micro-VM of its own.

commands:
{commands}

kwhost COMMAND --help explains a command. Examples:
  kwhost doctor
  kwhost run -- python3 -c 'print("hello")'
  kwhost run -it -- bash
"""


def _help() -> str:
    return _HELP.format(commands="\n".join(f"  {name:<8} {text}" for name, text in _COMMANDS.items()))


def _find_command(name: str) -> Callable[[Sequence[str]], int]:
    if name in _LATER:
        raise NotAvailableYet(f"the command {name!r}")
    if name not in _COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, [*_COMMANDS, *_LATER], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "kwhost --help lists them"
        raise UsageError(f"there is no command {name!r}; {hint}")
    command: Callable[[Sequence[str]], int] = import_module(f"kwhost.core.cli.{name}").main
    return command


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        show_result(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        from kwhost import __version__

        show_result(f"kwhost {__version__}\n")
        return 0
    if arguments[0].partition("=")[0] == "--host":
        raise NotAvailableYet("the option --host")
    if arguments[0].startswith("-"):
        raise UsageError(f"unknown option {arguments[0]}; kwhost --help shows the usage")
    return _find_command(arguments[0])(arguments[1:])


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    if arguments and arguments[0] == "--debug":
        show_tracebacks()
        arguments = arguments[1:]
    try:
        return _dispatch(arguments)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge: every failure becomes one line
        return report_failure(error)


def _open_standard_streams() -> None:
    """Whoever starts this with a standard stream closed gets /dev/null there: a descriptor that is opened
    for another purpose must not take its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: the stream's own
            os.set_inheritable(fd, True)  # noqa: FBT003 - it takes no keyword
            setattr(sys, name, os.fdopen(fd, "r" if name == "stdin" else "w"))


def entry() -> None:
    """The console script."""
    _open_standard_streams()
    # What start-up loads stays: collecting in between costs a fifth of a short command's time. Commands
    # that go on for longer collect again once they are loaded.
    gc.disable()
    sys.exit(main(sys.argv[1:]))
