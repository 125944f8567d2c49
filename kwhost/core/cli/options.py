"""Parsing a command's options so that errors are one line, and options of the contract that are not
built yet are refused by name instead of being ignored."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from kwhost.core.cli.results import show_result
from kwhost.core.errors import NotAvailableYet, UsageError

__all__ = ["CommandParser", "add_later_option"]


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are kwhost's own; abbreviated options are errors too."""

    def __init__(self, command: str, usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=f"kwhost {command}",
            usage=usage,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise UsageError(f"{message}; {self.prog} --help shows the usage")

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - the option --help gives none
        """Show the help as a result; argparse itself would ignore that it cannot be written."""
        show_result(self.format_help())


class _LaterAction(argparse.Action):
    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> NoReturn:
        raise NotAvailableYet(f"the option {option_string}")


def add_later_option(parser: argparse.ArgumentParser, *names: str, argument: bool) -> None:
    """Declare an option of the contract that does not exist yet."""
    parser.add_argument(*names, action=_LaterAction, nargs=None if argument else 0, help=argparse.SUPPRESS)
