"""The engine `direct`."""

from typing import TYPE_CHECKING

from kwhost.core.model.instance import Isolation
from kwhost.core.model.rules import EVERY_RULE
from kwhost.hookspecs import EngineOffer, hookimpl

if TYPE_CHECKING:
    from kwhost.core.engines.base import Engine
    from kwhost.core.engines.id_ranges import IdLease


def _direct(lease: "IdLease") -> "Engine":
    from kwhost.core.engines.direct import DirectEngine  # brings cffi: not for `kwhost plugin ls`

    return DirectEngine(lease)


@hookimpl
def engines() -> tuple[EngineOffer, ...]:
    """The program runs on a virtual CPU of its own KVM machine."""
    return (EngineOffer(name="direct", isolation=Isolation.VM, factory=_direct, enforces=EVERY_RULE),)
