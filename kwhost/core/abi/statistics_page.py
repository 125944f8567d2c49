"""A new statistics page (struct kw_stats); `abi.statistics` reads what became of it."""

from kwhost.core.abi._abi import ffi, lib

__all__ = ["STATS_FILE_SIZE", "STATS_SIZE", "new_statistics"]

STATS_SIZE: int = ffi.sizeof("struct kw_stats")
# With what a policy's counters and events take (struct kw_policy_shared), which is a hole otherwise.
STATS_FILE_SIZE: int = lib.KW_POLICY_SHARED_OFFSET + ffi.sizeof("struct kw_policy_shared")


def new_statistics() -> bytes:
    """An empty page for a new instance."""
    page = ffi.new("struct kw_stats *")
    page.magic, page.version, page.size = lib.KW_STATS_MAGIC, lib.KW_ABI_VERSION, STATS_SIZE
    return bytes(ffi.buffer(page))
