"""What engines give, and the least isolation that is acceptable: a floor."""

from kwhost.core.errors import NotAvailableYet, UsageError
from kwhost.core.model.instance import Engine, Isolation

__all__ = ["check_engine", "engine_label", "isolation_of", "meets"]

_WEAKEST_FIRST = (Isolation.PROCESS, Isolation.VM, Isolation.KERNEL)
_ISOLATION = {Engine.KERNEL.value: Isolation.KERNEL, Engine.PROCESS.value: Isolation.PROCESS}


def isolation_of(engine: str) -> Isolation:
    """What an engine of this name gives, whoever offers it."""
    return _ISOLATION.get(engine, Isolation.VM)


def engine_label(engine: str, isolation: str) -> str:
    """How an instance's engine is told everywhere: that there is no virtual machine is never left out."""
    return f"{engine} (no VM)" if isolation == Isolation.PROCESS.value else engine


def meets(isolation: Isolation, floor: Isolation) -> bool:
    """Whether it is at least as strong."""
    return _WEAKEST_FIRST.index(isolation) >= _WEAKEST_FIRST.index(floor)


def check_engine(engine: Engine, floor: Isolation) -> None:
    """Raise for what cannot be had: nothing is ever weakened silently."""
    if engine is Engine.KERNEL:
        raise NotAvailableYet("the engine 'kernel'")
    if floor is Isolation.KERNEL:
        raise NotAvailableYet("the isolation 'kernel', which needs the engine 'kernel',")
    if engine is Engine.PROCESS and not meets(Isolation.PROCESS, floor):
        raise UsageError(
            f"the engine 'process' has no virtual machine, and the least isolation is {floor.value!r}: "
            'allow it with --isolation process, for a tenant with isolation = "process"'
        )
