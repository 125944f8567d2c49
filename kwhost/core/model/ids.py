"""Names of instances and ranges of user ids."""

import re
from typing import NamedTuple, NewType

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


class IdRange(NamedTuple):
    """The host ids that an instance's ids are: `size` of them, from 0 inside.

    Of an ordinary user's instance, id 0 is always the user, and the bases are those of id 1.
    """

    uid_base: int
    gid_base: int
    size: int
