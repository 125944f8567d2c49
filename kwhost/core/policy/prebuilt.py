"""The table of the policy `default`, compiled when kwhost was built (tools/policy_table.py).

Most instances have it and no other, and with all that is imported for compiling it takes longer than their
start. It lies beside the ABI module whose structures it is made of, as safe from others as that is.
"""

from pathlib import Path

from kwhost.core.abi import _abi
from kwhost.core.errors import HostError

__all__ = ["PREBUILT_LAYER", "PREBUILT_POLICY", "prebuilt_table"]

# The one layer in it, and its policy.
PREBUILT_LAYER = "instance"
PREBUILT_POLICY = "default"


def prebuilt_table() -> bytes:
    """What compile_layers makes of the layer, without the zeros at its end; rules have the numbers that
    number_rules gives them. Raises HostError."""
    assert _abi.__file__
    path = Path(_abi.__file__).parents[1] / "policy" / "default.table"
    try:
        return path.read_bytes()
    except OSError as error:
        raise HostError(
            f"cannot read the policy table {path}: {error.strerror}: install kwhost again"
        ) from error
