"""The API's JSON as records: checked once, here."""

from typing import Any, TypeVar

import msgspec

from kwhost.core.errors import ApiError

__all__ = ["read"]

R = TypeVar("R")


def read(data: Any, kind: type[R]) -> R:
    """Such as `read(answer, tuple[InstanceStatus, ...])`. Raises ApiError for what is none."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ApiError(f"the daemon's answer is not as expected: {error}") from error
