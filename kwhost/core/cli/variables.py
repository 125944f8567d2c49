"""Environment variables on the command line: -e K=V, -e K."""

import os
from argparse import ArgumentParser
from collections.abc import Sequence

from kwhost.core.errors import UsageError

__all__ = ["add_variable_option", "read_variables"]


def add_variable_option(parser: ArgumentParser) -> None:
    """-e, as often as wanted."""
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="K=V|K",
        help="set K to V, or to the value that it has here",
    )


def read_variables(settings: Sequence[str]) -> dict[str, str]:
    """K=V sets a variable; a bare K takes over the operator's own, if there is one."""
    variables = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key:
            raise UsageError(f"{setting!r} is no variable: write NAME=VALUE, or NAME to pass your own on")
        if equals:
            variables[key] = value
        elif key in os.environ:
            variables[key] = os.environ[key]
    return variables
