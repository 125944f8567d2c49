"""libnftables: one transaction a call, all of it or nothing."""

import ctypes
import errno
import json
import os
import socket
import struct
import weakref
from functools import cache
from typing import Any

from kwhost.core.errors import NetworkError

__all__ = ["Nft", "load_nft"]

_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON

# A question that every nf_tables answers: for the generation of its tables (NFT_MSG_GETGEN, linux/netfilter).
_NETLINK_NETFILTER = 12
_GET_GENERATION = 10 << 8 | 16
_QUESTION = struct.pack("=IHHIIBBH", 20, _GET_GENERATION, 1, 0, 0, 0, 0, 0)
_NLMSG_ERROR = 2
_NO_NF_TABLES = (
    "networks need the kernel's nf_tables: run modprobe nf_tables, or use a kernel with CONFIG_NF_TABLES"
)


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


def _refuse_without_nf_tables() -> None:
    """The library ends the whole process where it cannot have its socket, and speaks of invalid arguments
    where nobody knows tables."""
    code = _answer_of_kernel()
    if code in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EINVAL):
        raise NetworkError(_NO_NF_TABLES)
    if code:
        raise NetworkError(f"nftables of this host cannot be used: {os.strerror(code)}")


def _answer_of_kernel() -> int:
    """Whether nf_tables answers in this network namespace: 0, or an error's number."""
    try:
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
        ) as kernel:
            kernel.send(_QUESTION)
            answer = kernel.recv(4096)
    except OSError as error:
        return error.errno or errno.EIO
    kind, code = struct.unpack_from("=4xH10xi", answer)
    return -code if kind == _NLMSG_ERROR else 0


class Nft:
    """A connection to nftables, in the network namespace of the thread that makes it; one call at a time.

    Closing one waits until the kernel has freed what was removed, some 10 ms: so it is kept.
    """

    def __init__(self) -> None:
        self._library = _library()
        _refuse_without_nf_tables()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise NetworkError("libnftables cannot start: there is no memory for it")
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
