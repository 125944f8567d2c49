"""How an instance's run ended, from what `supervise` left. Pure."""

from typing import NamedTuple

from kwhost.core.abi.exit_record import EndReason as Left
from kwhost.core.abi.exit_record import ExitRecord
from kwhost.core.abi.messages import exit_status
from kwhost.core.errors import EXIT_INTERNAL, EXIT_SIGNAL_BASE
from kwhost.core.model.status import EndReason

__all__ = ["End", "describe_end", "end_of"]


class End(NamedTuple):
    """The reason, the exit code as `kwhost run` would give it, and a line that says more."""

    reason: EndReason
    exit_code: int | None
    message: str


def end_of(found: ExitRecord | None) -> End:
    """What an exit record says; without one `supervise` itself was killed."""
    if found is None:
        return End(EndReason.LOST, None, "its supervising process was killed")
    if found.reason is Left.FAILED:
        return End(EndReason.FAILED, found.failed_status or EXIT_INTERNAL, found.text)
    reason = EndReason.MEMORY if found.reason is Left.MEMORY else EndReason.EXITED
    return End(reason, exit_status(found.status), found.text)


def describe_end(end: End) -> str:
    """One line for the journal."""
    if end.exit_code is None or end.reason is EndReason.FAILED:
        return end.message
    if end.exit_code > EXIT_SIGNAL_BASE:
        text = f"ended by signal {end.exit_code - EXIT_SIGNAL_BASE}"
    else:
        text = f"exit code {end.exit_code}"
    return f"{text}: {end.message}" if end.message else text
