"""Parsing a command's options so that errors are one line."""

import argparse
from typing import NoReturn

from kwhost.core.cli.results import show_result
from kwhost.core.errors import UsageError

__all__ = ["CommandParser"]


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
