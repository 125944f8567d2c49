"""Everything that goes to standard error, and the exit status of kwhost's own errors."""

import sys

from kwhost.core.errors import EXIT_INTERNAL, EXIT_SIGNAL_BASE, KwhostError

__all__ = ["notice", "report_failure", "show_tracebacks"]

_shown = {"traceback": False}


def show_tracebacks() -> None:
    """From now on an error is shown with where it happened."""
    _shown["traceback"] = True


def notice(line: str) -> None:
    """One line for the operator."""
    sys.stderr.write(f"kwhost: {line}\n")
    sys.stderr.flush()


def report_failure(error: BaseException) -> int:
    """Say what went wrong in one line, with the traceback only where it was asked for."""
    if _shown["traceback"]:
        import traceback

        traceback.print_exception(error)
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, KwhostError):
        for line in str(error).splitlines():
            notice(line)
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return EXIT_SIGNAL_BASE + 2
    text = " ".join(str(error).split()) or "no details"
    notice(f"internal error: {type(error).__name__}: {text} (--debug shows where)")
    return EXIT_INTERNAL
