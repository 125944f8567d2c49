"""Names of instances and ranges of user ids."""

import os
import re
from typing import NamedTuple, NewType

from kwhost.core.errors import UsageError

__all__ = [
    "DEFAULT_TENANT",
    "DEFAULT_UID_BASE",
    "FULL_RANGE",
    "UID_LIMIT",
    "IdRange",
    "InstanceId",
    "InstanceName",
    "TenantName",
    "instance_name",
    "new_instance_id",
    "tenant_name",
]

InstanceName = NewType("InstanceName", str)
TenantName = NewType("TenantName", str)
# Whose instances are that an operator makes without naming a tenant; it needs no table in the configuration.
DEFAULT_TENANT = TenantName("default")
# Twelve hexadecimal digits, never used twice on a host.
InstanceId = NewType("InstanceId", str)

# A host name label too: the instance's UTS namespace carries the name.
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")

# A label of a host name and part of the names of cgroups.
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")

FULL_RANGE = 65_536
# From here to 2^31 neither systemd, adduser nor the subordinate id tools give ids to anybody.
DEFAULT_UID_BASE = 0x7000_0000
UID_LIMIT = 0x8000_0000


def instance_name(text: str) -> InstanceName:
    """Check a name that a user chose."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for an instance: 1 to 63 letters, digits, '_', '.' or '-', "
            "with a letter or digit first and last"
        )
    return InstanceName(text)


def tenant_name(text: str) -> TenantName:
    """Check a name that an operator chose."""
    if not _TENANT.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for a tenant: 1 to 32 lower-case letters, digits or '-', "
            "with a letter or digit first and last"
        )
    return TenantName(text)


def new_instance_id() -> InstanceId:
    """An id for a new instance."""
    return InstanceId(os.urandom(6).hex())


class IdRange(NamedTuple):
    """The host ids that an instance's ids are: `size` of them, from 0 inside.

    Of an ordinary user's instance, id 0 is always the user, and the bases are those of id 1.
    """

    uid_base: int
    gid_base: int
    size: int
