"""Encodes an instance's secrets, which `supervise` hands on (struct kw_secrets)."""

from collections.abc import Mapping

from kwhost.core.abi._abi import ffi, lib

__all__ = ["encode_secrets"]


def encode_secrets(contents: Mapping[str, bytes]) -> bytes:
    """Those with these names and contents, within the bounds of model.secrets."""
    head = ffi.new("struct kw_secrets *", {"magic": lib.KW_SECRETS_MAGIC, "count": len(contents)})
    for entry, (name, content) in zip(head.entries, contents.items(), strict=False):
        entry.name, entry.size = name.encode("ascii"), len(content)
    return b"".join((bytes(ffi.buffer(head)), *contents.values()))
