"""Doing the same with several instances: each one is done, and what failed is told at the end."""

from collections.abc import Callable, Iterable

from kwhost.core.cli.diagnostics import report_failure
from kwhost.core.errors import KwhostError

__all__ = ["for_each"]


def for_each(names: Iterable[str], operation: Callable[[str], None]) -> int:
    """The exit status: 0, or that of the last error."""
    failures = []
    for name in names:
        try:
            operation(name)
        except KwhostError as error:
            failures.append(error)
    status = 0
    for failure in failures:
        status = report_failure(failure)
    return status
