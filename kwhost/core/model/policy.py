"""What a configuration says of system call policies in words; kwhost.core.policy knows the rest."""

import re
from dataclasses import dataclass
from enum import Enum

from kwhost.core.errors import UsageError

__all__ = ["BUILT_IN_POLICIES", "DEFAULT_POLICY", "CallAction", "CallChoice", "Ceiling", "policy_name"]

DEFAULT_POLICY = "default"
BUILT_IN_POLICIES = (DEFAULT_POLICY, "strict", "web")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")


class Ceiling(Enum):
    """How far a policy may be widened while the instance runs: to `default` and itself, or not at all."""

    DEFAULT = "default"
    POLICY = "policy"


class CallAction(Enum):
    """What an operator chooses for a call of one instance."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChoice:
    """A call that an operator allowed or denied an instance, on top of its policy."""

    call: str
    action: CallAction


def policy_name(text: str) -> str:
    """Check the name of a policy."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for a policy: 1 to 32 lower-case letters, digits, '_' or '-', "
            "with a letter or digit first and last"
        )
    return text
