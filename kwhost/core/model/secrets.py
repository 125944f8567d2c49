"""What an instance gets to know by files that only it sees: `--secret NAME=FILE`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kwhost.core.errors import UsageError

__all__ = [
    "SECRETS_MAX",
    "SECRETS_PLACE",
    "SECRETS_SIZE_MAX",
    "Secret",
    "check_secrets",
    "parse_secret",
    "secret_name",
]

# Where an instance sees them.
SECRETS_PLACE = "/run/secrets"
# Of one instance's; as the monitor has it (KW_SECRETS_MAX, KW_SECRETS_SIZE_MAX).
SECRETS_MAX = 64
SECRETS_SIZE_MAX = 512 * 1024

_NAME = r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,63}"  # compiled where there are any


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """The file /run/secrets/NAME of an instance. `file` is what is read for it at each start, with the rights
    of whoever named it; None: its content came with the request that made the instance."""

    name: str
    file: str | None = None


def secret_name(text: str) -> str:
    """Check the name of a secret. Raises UsageError."""
    if not re.fullmatch(_NAME, text):
        raise UsageError(
            f"{text[:100]!r} is no name for a secret: 1 to 64 letters, digits, '_', '-' or '.', which is not "
            "the first"
        )
    return text


def parse_secret(text: str) -> Secret:
    """Read NAME=FILE. Raises UsageError."""
    name, equals, file = text.partition("=")
    if not equals or not file:
        raise UsageError(f"{text[:100]!r} is no secret: write NAME=FILE")
    return Secret(name=secret_name(name), file=file)


def check_secrets(sizes: Mapping[str, int]) -> None:
    """Raise UsageError unless an instance may have secrets with these names, of so many bytes."""
    for name in sizes:
        secret_name(name)
    if len(sizes) > SECRETS_MAX:
        raise UsageError(f"an instance may have {SECRETS_MAX} secrets, not {len(sizes)}")
    size = 0
    for name, length in sizes.items():
        size += length
        if size > SECRETS_SIZE_MAX:
            raise UsageError(
                f"with {name} the secrets have more than {SECRETS_SIZE_MAX // 1024} KiB, which is all that "
                "those of an instance may have together"
            )
