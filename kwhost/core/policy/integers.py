"""Policies for programs whose calls are judged by their integers alone."""

from collections.abc import Sequence

from kwhost.core.errors import UsageError
from kwhost.core.policy.model import Access, Layer
from kwhost.core.policy.ranking import grants_everything

__all__ = ["check_integers"]

_FULL = Access.READ | Access.WRITE | Access.EXECUTE


def check_integers(layers: Sequence[Layer], why: str) -> None:
    """Raise UsageError for the first rule on files that takes something away. Rules on addresses are none to
    hold: such programs have no network."""
    for layer in layers:
        if grants_everything(layer.policy.files):
            continue
        rule = next((rule for rule in layer.policy.files if rule.access != _FULL), layer.policy.files[0])
        raise UsageError(
            f"rules on files cannot be held here ({why}), and the layer {layer.name} has one: "
            f"{rule.origin.where}: {rule}; choose another policy"
        )
