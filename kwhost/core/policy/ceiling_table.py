"""From layers to the ceiling that an instance's jail is made from (struct kw_ceiling)."""

from collections.abc import Iterable, Sequence
from typing import Any

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import ConfigError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.ceiling import Grant, ceiling_calls, ceiling_grants
from kwhost.core.policy.model import Access, Layer

__all__ = ["compile_ceiling"]

_EVERYTHING = Grant(path=b"/", beneath=True, access=Access.READ | Access.WRITE | Access.EXECUTE)
_ACCESSES = {
    Access.READ: lib.KW_POLICY_READ,
    Access.WRITE: lib.KW_POLICY_WRITE,
    Access.EXECUTE: lib.KW_POLICY_EXECUTE,
}


def compile_ceiling(layers: Sequence[Layer]) -> bytes:
    """What the layers may ever permit, at least. Raises ConfigError where there are too many layers."""
    narrowing = [grants for layer in layers if _EVERYTHING not in (grants := ceiling_grants(layer.policy))]
    if len(narrowing) > lib.KW_POLICY_LAYERS_MAX:
        raise ConfigError(f"{len(layers)} layers of policies; {lib.KW_POLICY_LAYERS_MAX} are allowed")
    ceiling = ffi.new("struct kw_ceiling *")
    ceiling.magic, ceiling.version = lib.KW_CEILING_MAGIC, lib.KW_POLICY_VERSION
    for call in ceiling_calls(layers):
        ceiling.calls[CALLS[call] // 64] |= 1 << CALLS[call] % 64
    texts = bytearray()
    ceiling.layer_count = len(narrowing)
    for place, grants in zip(ceiling.layers, _widened(narrowing), strict=False):
        place.first, place.count = ceiling.grant_count, len(grants)
        for grant in grants:
            _add(ceiling, texts, grant)
    ceiling.text_size = len(texts)
    ceiling.texts[0 : len(texts)] = bytes(texts)
    ceiling.size = ffi.offsetof("struct kw_ceiling", "texts") + len(texts)
    return bytes(ffi.buffer(ceiling, ceiling.size))


def _add(ceiling: Any, texts: bytearray, grant: Grant) -> None:  # of cffi
    place = ceiling.grants[ceiling.grant_count]
    place.text, place.length = len(texts), len(grant.path)
    place.access = sum(number for access, number in _ACCESSES.items() if access in grant.access)
    place.beneath = grant.beneath
    texts += grant.path + b"\0"
    ceiling.grant_count += 1


def _widened(layers: list[tuple[Grant, ...]]) -> list[tuple[Grant, ...]]:
    """As many grants as there is room for: the deepest ones become one of the directory that they are in."""
    while _exceeds(layers):
        depth = max(_depth(grant) for grants in layers for grant in grants)
        layers = [_merged(_above(grant, depth) for grant in grants) for grants in layers]
    return layers


def _exceeds(layers: list[tuple[Grant, ...]]) -> bool:
    count = sum(map(len, layers))
    size = sum(len(grant.path) + 1 for grants in layers for grant in grants)
    return bool(count > lib.KW_CEILING_GRANTS_MAX or size > lib.KW_CEILING_TEXTS_MAX)


def _depth(grant: Grant) -> int:
    return grant.path.rstrip(b"/").count(b"/")


def _above(grant: Grant, depth: int) -> Grant:
    if _depth(grant) < depth:
        return grant
    return Grant(path=grant.path.rpartition(b"/")[0] or b"/", beneath=True, access=grant.access)


def _merged(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    found: dict[tuple[bytes, bool], Access] = {}
    for grant in grants:
        place = grant.path, grant.beneath
        found[place] = found.get(place, Access.NONE) | grant.access
    return tuple(Grant(*place, access) for place, access in found.items())
