"""How often each rule of a policy decided (struct kw_policy_shared).

Monitors write it, and a monitor may have been taken over: every value is bounded.
"""

import os
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib

__all__ = ["RuleCount", "read_counts"]

_COUNT_MAX = 10**15
_OFFSET = lib.KW_POLICY_SHARED_OFFSET + ffi.offsetof("struct kw_policy_shared", "counts")
_COUNTS = f"struct kw_policy_count[{lib.KW_POLICY_RULES_MAX}]"


class RuleCount(NamedTuple):
    """Of one rule: verdicts other than plain permission, and those of them that refused."""

    hits: int
    denied: int


def read_counts(stats: int) -> dict[int, RuleCount]:
    """From the descriptor of a statistics page: by the rules' numbers, those that decided anything."""
    counts = ffi.new(_COUNTS)
    size = ffi.sizeof(counts)
    data = os.pread(stats, size, _OFFSET)
    ffi.memmove(counts, data, min(len(data), size))
    return {
        number: RuleCount(min(count.hits, _COUNT_MAX), min(count.denied, _COUNT_MAX))
        for number, count in enumerate(counts)
        if count.hits or count.denied
    }
