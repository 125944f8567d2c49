"""What is kept about instances; all times are seconds since 1970."""

from dataclasses import dataclass
from typing import Literal

from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.network import InstanceAddresses
from kwhost.core.model.policy import CallChoice
from kwhost.core.model.protections import Protections
from kwhost.core.model.status import EndReason, InstanceState, RootStatus

__all__ = ["Desired", "ExitHistory", "InstanceRecord"]

Desired = Literal["running", "stopped", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """What a new daemon must know about an instance; None: not yet.

    `desired` is what its owner wants it to be. `engine` is the one that was chosen for it. `configured`:
    the configuration file has it, else it was made through the API. `confined`: one of its tenant's users
    made it, so that it may bind what the tenant's users may. `addresses` are those in its tenant's network.
    `choices` are calls that operators allowed or denied it, on top of its policy; one for each call.
    `protections` held in its last run, of the engine `process`; `root` is that run's.
    """

    id: InstanceId
    tenant: TenantName
    name: InstanceName
    definition: InstanceDefinition
    desired: Desired
    state: InstanceState
    created: float
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    reason: EndReason | None = None
    message: str = ""
    restarts: int = 0
    engine: str = ""
    configured: bool = False
    confined: bool = False
    addresses: InstanceAddresses | None = None
    choices: tuple[CallChoice, ...] = ()
    protections: Protections | None = None
    root: RootStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitHistory:
    """How one run of an instance ended; `started` None: the program never ran."""

    instance: InstanceId
    started: float | None
    ended: float
    exit_code: int | None
    reason: EndReason
    message: str = ""
