"""Names of the system calls, from the monitor's own table."""

from kwhost.core.abi._abi import ffi, lib

__all__ = ["call_name"]


def call_name(number: int) -> str:
    """The name of a call; calls that the table does not have go by their number."""
    name = lib.kw_call_name(number)
    return bytes(ffi.string(name)).decode("ascii") if name else f"call_{number}"
