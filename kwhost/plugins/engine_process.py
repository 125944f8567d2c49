"""The engine `process`."""

from typing import TYPE_CHECKING

from kwhost.core.model.instance import Isolation
from kwhost.core.model.rules import PROCESS_RULES
from kwhost.hookspecs import EngineOffer, hookimpl

if TYPE_CHECKING:
    from kwhost.core.engines.base import Engine
    from kwhost.core.engines.id_ranges import IdLease


def _process(lease: "IdLease") -> "Engine":
    from kwhost.core.engines.process import ProcessEngine  # brings cffi: not for `kwhost plugin ls`

    return ProcessEngine(lease)


@hookimpl
def engines() -> tuple[EngineOffer, ...]:
    """The program is a process of this kernel's, without a virtual machine."""
    return (
        EngineOffer(name="process", isolation=Isolation.PROCESS, factory=_process, enforces=PROCESS_RULES),
    )
