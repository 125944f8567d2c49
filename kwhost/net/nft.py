"""libnftables: one transaction a call, all of it or nothing."""

import ctypes
import json
import weakref
from functools import cache
from typing import Any

from kwhost.core.errors import NetworkError

__all__ = ["Nft", "load_nft"]

_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        text = "networks need libnftables.so.1: install it (Debian: apt-get install libnftables1)"
        raise NetworkError(text) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        function = getattr(library, name)
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library


def load_nft() -> None:
    """Load the library now, for who cannot later. Raises NetworkError."""
    _library()


class Nft:
    """A connection to nftables, in the network namespace of the thread that makes it; one call at a time.

    Closing one waits until the kernel has freed what was removed, some 10 ms: so it is kept.
    """

    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise NetworkError(
                "libnftables cannot start: does this kernel have nf_tables (CONFIG_NF_TABLES)?"
            )
        weakref.finalize(self, self._library.nft_ctx_free, self._context)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, _JSON)

    def run(self, commands: str) -> str:
        """Run commands of nft; what lists answers JSON. Raises NetworkError with nft's first complaint."""
        if self._library.nft_run_cmd_from_buffer(self._context, commands.encode()):
            complaint = self._library.nft_ctx_get_error_buffer(self._context)
            raise NetworkError(f"nftables: {_first_line(complaint)}")
        return str(self._library.nft_ctx_get_output_buffer(self._context).decode())

    def has_table(self, family: str, name: str) -> bool:
        """Whether there is one."""
        tables = json.loads(self.run("list tables"))["nftables"]
        return any(_is_table(one, family, name) for one in tables)

    def list_table(self, family: str, name: str) -> list[dict[str, Any]]:
        """What a table consists of, as libnftables-json(5) says it; nothing where there is no such table."""
        if not self.has_table(family, name):
            return []
        parts: list[dict[str, Any]] = json.loads(self.run(f"list table {family} {name}"))["nftables"]
        return parts


def _is_table(part: dict[str, Any], family: str, name: str) -> bool:
    table = part.get("table")
    return table is not None and (table["family"], table["name"]) == (family, name)


def _first_line(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    line = next((line for line in lines if "Error:" in line), "no reason given")
    text = line.partition("Error:")[2].strip()
    if "Operation not supported" in text or "No such file or directory" in text:
        text += " (this kernel may lack a part of nf_tables: inet, bridge, nat, masquerade, connlimit)"
    return text
