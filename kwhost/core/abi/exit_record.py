"""The exit record of a hosted instance (struct kw_exit): what `supervise` leaves behind."""

from enum import Enum
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import clean_text

__all__ = ["EXIT_SIZE", "EndReason", "ExitRecord", "decode_exit"]

# The file has to be this large from the beginning, so that a full disk does not matter.
EXIT_SIZE: int = ffi.sizeof("struct kw_exit")


class EndReason(Enum):
    """Why an instance is no more."""

    EXITED = lib.KW_EXIT_EXITED
    FAILED = lib.KW_EXIT_FAILED
    MEMORY = lib.KW_EXIT_MEMORY


class ExitRecord(NamedTuple):
    """How an instance ended; times are nanoseconds since 1970, `lost_log` is in bytes.

    `status` is that of an EXITED event, 0 to 255 or 256 + signal number; `failed_status` that of a FAILED
    one, 0 where the instance did start.
    """

    reason: EndReason
    status: int
    failed_status: int
    started_ns: int
    ended_ns: int
    lost_log: int
    text: str


def decode_exit(data: bytes) -> ExitRecord | None:
    """Read a record; None where `supervise` did not finish one, or it is of another version."""
    if len(data) != EXIT_SIZE:
        return None
    record = ffi.new("struct kw_exit *")
    ffi.memmove(record, data, EXIT_SIZE)
    if (record.magic, record.size) != (lib.KW_EXIT_MAGIC, EXIT_SIZE):
        return None
    try:
        reason = EndReason(record.reason)
    except ValueError:
        return None
    return ExitRecord(
        reason=reason,
        status=record.status,
        failed_status=record.failed_status,
        started_ns=record.started_ns,
        ended_ns=record.ended_ns,
        lost_log=record.lost_log,
        text=clean_text(bytes(ffi.buffer(record.text))),
    )
