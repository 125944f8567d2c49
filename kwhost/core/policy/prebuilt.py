"""The policy `default` and its ceiling, compiled when kwhost was built (tools/policy_table.py).

Most instances have it and no other, and with all that is imported for compiling it takes longer than their
start. Both lie beside the ABI module whose structures it is made of, as safe from others as that is.
"""

from pathlib import Path

from kwhost.core.abi import _abi
from kwhost.core.errors import HostError

__all__ = ["PREBUILT_LAYER", "PREBUILT_POLICY", "prebuilt_ceiling", "prebuilt_table"]

# The one layer in it, and its policy.
PREBUILT_LAYER = "instance"
PREBUILT_POLICY = "default"


def prebuilt_table() -> bytes:
    """What compile_layers makes of the layer, without the zeros at its end; rules have the numbers that
    number_rules gives them. Raises HostError."""
    return _read("default.table")


def prebuilt_ceiling() -> bytes:
    """What compile_ceiling makes of the layer. Raises HostError."""
    return _read("default.ceiling")


def _read(name: str) -> bytes:
    assert _abi.__file__
    path = Path(_abi.__file__).parents[1] / "policy" / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise HostError(
            f"cannot read the compiled policy {path}: {error.strerror}: install kwhost again"
        ) from error
