"""Which engine an instance gets: what was asked for, the least isolation, and what this host has."""

from collections.abc import Callable
from typing import NamedTuple

from kwhost.core.engines.kvm_device import lacking_kvm
from kwhost.core.errors import KvmError
from kwhost.core.model.floors import check_engine
from kwhost.core.model.instance import Engine, Isolation

__all__ = ["Choice", "advise_without_kvm", "choose_engine"]


class Choice(NamedTuple):
    """The engine, and a line for whoever wants to know that it is weaker than it could be elsewhere."""

    engine: Engine
    warning: str = ""


def choose_engine(asked: Engine, floor: Isolation, lacking: Callable[[], str] = lacking_kvm) -> Choice:
    """The engine for a start on this host. Raises NotAvailableYet, UsageError. `lacking` says why KVM cannot
    be used, "" where it can."""
    check_engine(asked, floor)
    if asked is not Engine.AUTO:
        return Choice(asked)
    # Without a virtual machine only where that is allowed; elsewhere the start fails, and says why.
    if floor is Isolation.PROCESS and (reason := lacking()):
        return Choice(Engine.PROCESS, f"the engine 'process' runs it, without a virtual machine: {reason}")
    return Choice(Engine.DIRECT)


def advise_without_kvm(error: KvmError, asked: Engine) -> KvmError:
    """The same error, which names the weaker way where that could be allowed."""
    if asked is not Engine.AUTO:
        return error
    return KvmError(
        f'{error}; where a weaker isolation will do, --isolation process (a tenant: isolation = "process") '
        "allows the engine 'process', which needs no KVM"
    )
