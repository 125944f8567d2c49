"""The section [plugins.prometheus]."""

import ipaddress
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import HostError

__all__ = ["Address", "Configuration", "read_token"]

_TCP = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")
_TOKEN = re.compile(rb"[\x21-\x7e]{16,1024}")


class Address(NamedTuple):
    """A loopback address."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def _parse_listen(text: str) -> Path | Address:
    if text.startswith("unix:/"):
        return Path(text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if not match or int(match["port"]) > 65535:
        raise ValueError(f"listen must be unix:/PATH, 127.0.0.1:PORT or [::1]:PORT, not {text!r}")
    address = ipaddress.ip_address(match["six"] or match["four"])  # whose ValueError says what is wrong
    if not address.is_loopback:
        raise ValueError(f"listen must be a loopback address, not {address}")
    return Address(str(address), int(match["port"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`listen`: unix:/PATH, or a loopback address with its port, which needs `token_file`; empty:
    metrics.sock in the run directory. `group`: whose members may use the Unix socket."""

    listen: str = ""
    token_file: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        place = self.place(Path("/"))
        if isinstance(place, Address) and not self.token_file:
            raise ValueError(
                "listen on an address needs token_file, so that not every user of this host can look"
            )
        if isinstance(place, Address) and self.group:
            raise ValueError("group is for a Unix socket; an address has none")
        if self.token_file and not self.token_file.startswith("/"):
            raise ValueError(f"token_file must be an absolute path, not {self.token_file!r}")

    def place(self, run_dir: Path) -> Path | Address:
        """Where to listen."""
        return _parse_listen(self.listen) if self.listen else run_dir / "metrics.sock"


def read_token(path: Path) -> bytes:
    """The token in a file that nobody but its owner may read. Raises HostError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            mode = os.fstat(fd).st_mode
            data = file.read(4096) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise HostError(f"cannot read the token file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise HostError(f"the token file {path} is open to others: chmod 600 {path}")
    token = data.strip()
    if not _TOKEN.fullmatch(token):
        raise HostError(
            f"{path} holds no token: write 16 or more letters and digits, for example openssl rand -hex 32"
        )
    return token
