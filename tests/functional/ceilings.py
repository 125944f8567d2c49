"""Ceilings for tests: of the built-in policies, and made of calls by name."""

from collections.abc import Iterable

from kwhost.core.abi._abi import ffi
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.ceiling_table import compile_ceiling
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer

__all__ = ["ceiling_of", "profile"]


def profile(name: str) -> list[Layer]:
    """A built-in policy as the only layer."""
    return [Layer("instance", built_in().find(name))]


def ceiling_of(calls: Iterable[str]) -> bytes:
    """One that has these calls, and everything of files."""
    data = bytearray(compile_ceiling([]))
    ceiling = ffi.from_buffer("struct kw_ceiling *", data, require_writable=True)
    numbers = [CALLS[call] for call in calls]
    for word in range(len(ceiling.calls)):
        ceiling.calls[word] = sum(1 << number % 64 for number in numbers if number // 64 == word)
    return bytes(data)
