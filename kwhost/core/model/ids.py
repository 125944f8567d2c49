"""Names of instances and ranges of user ids."""

import re
from dataclasses import dataclass
from typing import NewType

from kwhost.core.errors import UsageError

__all__ = ["FULL_RANGE", "IdRange", "InstanceName", "instance_name"]

InstanceName = NewType("InstanceName", str)

# A host name label too: the instance's UTS namespace carries the name.
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")

FULL_RANGE = 65_536


def instance_name(text: str) -> InstanceName:
    """Check a name that a user chose."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for an instance: 1 to 63 letters, digits, '_', '.' or '-', "
            "with a letter or digit first and last"
        )
    return InstanceName(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """The host ids that ids 0 to count-1 of an instance are."""

    uid_base: int
    gid_base: int
    count: int
