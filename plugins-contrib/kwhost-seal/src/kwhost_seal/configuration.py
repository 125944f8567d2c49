"""The section [plugins.seal]."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec
from kwhost.core.errors import UsageError
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.units import parse_duration
from kwhost.core.policy.patterns import parse_pattern

__all__ = ["Configuration", "Rule"]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances are sealed, by patterns of names, and what they keep.

    `writable`: paths as in policies, that may still be written. `exec`: further programs may be run.
    `listen`: further sockets may listen. `after`: how long after its start an instance without a health check
    is sealed.
    """

    tenant: str = "*"
    instances: tuple[str, ...] = ("*",)
    writable: tuple[str, ...] = ()
    exec: bool = False
    listen: bool = False
    after: str = "30s"

    def __post_init__(self) -> None:
        try:
            parse_duration(self.after)
            for path in self.writable:
                parse_pattern(path)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @property
    def after_seconds(self) -> float:
        """`after` as a number."""
        return parse_duration(self.after)

    def fits(self, tenant: TenantName, instance: InstanceName) -> bool:
        """Whether it is about this instance."""
        return fnmatchcase(tenant, self.tenant) and any(
            fnmatchcase(instance, pattern) for pattern in self.instances
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`rules`: the first that fits an instance counts; an instance that none fits is never sealed."""

    rules: tuple[Rule, ...] = ()

    def rule_for(self, tenant: TenantName, instance: InstanceName) -> Rule | None:
        """The rule that counts."""
        return next((rule for rule in self.rules if rule.fits(tenant, instance)), None)
