"""The engine `process`: whether it can run here, for this user, and what would protect its programs."""

import os
from typing import NamedTuple

from kwhost.core.cgroups.limits import lacking_limits
from kwhost.core.cgroups.placement import detect
from kwhost.core.config.host import load_host_config
from kwhost.core.engines.bare import (
    Abilities,
    bare_protections,
    check_bare,
    jail_protections,
    probe_abilities,
)
from kwhost.core.errors import HostError
from kwhost.core.hostcheck.report import Finding, Verdict
from kwhost.core.model.protections import Protections

__all__ = ["ProcessCheck", "check_process"]

_ENGINES = ("process",)
_NAME = "without a virtual machine"


class ProcessCheck(NamedTuple):
    """The finding, and which protections hold; None where the engine cannot run at all."""

    finding: Finding
    protections: Protections | None = None


def check_process() -> ProcessCheck:
    """By trying, in processes that are gone afterwards."""
    try:
        abilities = probe_abilities()
    except HostError as error:
        return _missing(str(error), "kwhost's native parts may not be built: make monitor")
    if abilities.notify:
        return _missing(
            f"no filter of system calls can ask a broker: {abilities.notify}",
            "the kernel needs seccomp's user notification, and no other filter with a listener around this",
        )
    lacking = lacking_limits(detect(load_host_config().state_dir))
    if not abilities.jail:
        seen = f"namespaces, a filter with a broker{_landlock(abilities)}; as {_user()}"
        finding = Finding(name=_NAME, verdict=Verdict.OK, seen=seen, engines=_ENGINES)
        return ProcessCheck(finding, jail_protections(abilities, lacking_cgroup=lacking))
    try:
        check_bare(abilities)
    except HostError as error:
        return _missing(str(error), "allow user namespaces, or run it as another user")
    finding = Finding(
        name=_NAME,
        verdict=Verdict.WEAKER,
        seen=f"no namespaces ({abilities.jail}), only a filter{_landlock(abilities)}; as {_user()}",
        advice="allow user namespaces and mounts, as the host of this container or by sysctl",
        engines=_ENGINES,
    )
    return ProcessCheck(finding, bare_protections(abilities, lacking_cgroup=lacking))


def _missing(seen: str, advice: str) -> ProcessCheck:
    return ProcessCheck(
        Finding(name=_NAME, verdict=Verdict.MISSING, seen=seen, advice=advice, engines=_ENGINES)
    )


def _landlock(abilities: Abilities) -> str:
    return f", Landlock version {abilities.landlock}" if abilities.landlock else ""


def _user() -> str:
    return "root" if os.geteuid() == 0 else "an ordinary user"
