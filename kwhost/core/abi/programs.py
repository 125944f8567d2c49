"""The native programs, which are installed beside the ABI module that they were built with."""

from pathlib import Path

from kwhost.core.abi import _abi
from kwhost.core.errors import HostError

__all__ = ["program_path"]


def program_path(name: str, what: str) -> Path:
    """An executable, and what it is called where it is missing. Raises HostError."""
    assert _abi.__file__
    path = Path(_abi.__file__).parents[2] / "libexec" / name
    if not path.is_file():
        raise HostError(f"{what} {path} is missing: install kwhost again")
    return path
