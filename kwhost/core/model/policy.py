"""What a configuration says of system call policies in words; kwhost.core.policy knows the rest."""

import re
from enum import Enum

from kwhost.core.errors import UsageError

__all__ = ["BUILT_IN_POLICIES", "DEFAULT_POLICY", "Ceiling", "policy_name"]

DEFAULT_POLICY = "default"
BUILT_IN_POLICIES = (DEFAULT_POLICY, "strict", "web")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")


class Ceiling(Enum):
    """How far a policy may be widened while the instance runs: to `default` and itself, or not at all."""

    DEFAULT = "default"
    POLICY = "policy"


def policy_name(text: str) -> str:
    """Check the name of a policy."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for a policy: 1 to 32 lower-case letters, digits, '_' or '-', "
            "with a letter or digit first and last"
        )
    return text
