"""The command `kwhost`: finds the subcommand, loads its file, runs it and reports its failure."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from kwhost.core.cli.commands import COMMANDS
from kwhost.core.cli.diagnostics import report_failure, show_tracebacks
from kwhost.core.cli.results import show_result
from kwhost.core.errors import UsageError

__all__ = ["entry", "main"]

_HELP = """usage: kwhost [--debug] [--host PATH] COMMAND [ARGUMENT...]

Runs unmodified Linux programs, each in a micro-VM of its own.

commands:
{commands}

kwhost COMMAND --help explains a command. --host or KWHOST_HOST name the daemon's socket. Examples:
  kwhost run -- python3 -c 'print("hello")'
  kwhost run -it -- bash
  kwhost up -d config.toml && kwhost ps
"""
# What other programs' commands are called here.
_ELSEWHERE = {
    "pull": "image pull", "load": "image load", "import": "image import", "login": "image login",
    "images": "image ls", "rmi": "image rm",
}  # fmt: skip


def _help() -> str:
    return _HELP.format(commands="\n".join(f"  {name:<10} {each.summary}" for name, each in COMMANDS.items()))


def _find_command(name: str) -> Callable[[Sequence[str]], int]:
    if command := COMMANDS.get(name):
        module = import_module(f"kwhost.core.cli.{command.module}")
        function: Callable[[Sequence[str]], int] = getattr(module, command.function)
        return function
    from kwhost.core.cli.plugin_command import find_plugin_command

    if found := find_plugin_command(name):
        return found
    raise UsageError(f"there is no command {name!r}; {_hint(name)}")


def _hint(name: str) -> str:
    if meant := _ELSEWHERE.get(name):
        return f"did you mean {meant!r}?"
    import difflib

    near = difflib.get_close_matches(name, list(COMMANDS), n=1)
    return f"did you mean {near[0]!r}?" if near else "kwhost --help lists them"


def _take_global_options(arguments: Sequence[str]) -> list[str]:
    """Act on what stands before the command; the rest."""
    rest = list(arguments)
    while rest:
        name, equals, value = rest[0].partition("=")
        if rest[0] == "--debug":
            show_tracebacks()
        elif name == "--host":
            if not equals:
                value = rest.pop(1) if len(rest) > 1 else ""
            if not value:
                raise UsageError("--host needs the path of a socket")
            os.environ["KWHOST_HOST"] = value  # where commands look, those of plugins too
        else:
            break
        del rest[0]
    return rest


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        show_result(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        from kwhost import __version__

        show_result(f"kwhost {__version__}\n")
        return 0
    if arguments[0].startswith("-"):
        raise UsageError(f"unknown option {arguments[0]}; kwhost --help shows the usage")
    return _find_command(arguments[0])(arguments[1:])


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    try:
        return _dispatch(_take_global_options(arguments))
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
    status = main(sys.argv[1:])
    gc.freeze()  # nor does what is left have to be looked through: the process ends
    sys.exit(status)
