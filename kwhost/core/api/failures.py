"""Errors as HTTP tells them, and back: one table that server and client share."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kwhost.core.errors import (
    EXIT_INTERNAL,
    Ambiguous,
    ApiError,
    ConfigError,
    Conflict,
    HostError,
    ImageError,
    KvmError,
    KwhostError,
    LaunchError,
    LimitError,
    NetworkError,
    NotAvailableYet,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StoreError,
    UsageError,
)

__all__ = ["FAILURES", "Failure", "Refusal", "describe", "error_body", "error_text", "first_cause", "revive"]


class Failure(NamedTuple):
    """How a class of errors is told: its `kind` in JSON, and the HTTP status."""

    kind: str
    status: int


FAILURES: Mapping[type[KwhostError], Failure] = {
    KwhostError: Failure("internal", 500),
    UsageError: Failure("usage", 400),
    NotAvailableYet: Failure("not-available-yet", 422),
    ConfigError: Failure("config", 422),
    HostError: Failure("host", 503),
    KvmError: Failure("kvm", 503),
    LimitError: Failure("limit", 503),
    NetworkError: Failure("network", 503),
    ImageError: Failure("image", 422),
    StoreError: Failure("store", 500),
    NotFound: Failure("not-found", 404),
    Ambiguous: Failure("ambiguous", 409),
    Conflict: Failure("conflict", 409),
    QuotaExceeded: Failure("quota", 429),
    PermissionDenied: Failure("permission", 403),
    ApiError: Failure("api", 500),
    LaunchError: Failure("launch", 422),
}
_CLASSES = {failure.kind: error for error, failure in FAILURES.items()}


class Refusal(Exception):  # noqa: N818 - the server's answer to a request that reaches no operation
    """HTTP itself is used wrongly, or there is no room; the client sees an ApiError with the text."""

    def __init__(self, failure: Failure, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.failure = failure
        self.headers = headers or {}


def describe(error: BaseException) -> Failure:
    """How to tell an error; what is nobody's fault but kwhost's is 500."""
    if isinstance(error, Refusal):
        return error.failure
    for base in type(error).__mro__:
        if base in FAILURES:
            return FAILURES[base]
    return FAILURES[KwhostError]


def first_cause(error: BaseException) -> BaseException:
    """What is within groups of exceptions: the first error that happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def error_text(error: BaseException) -> str:
    """What a client may know of an error; one that is not kwhost's own keeps its details to itself."""
    if isinstance(error, KwhostError | Refusal):
        return str(error)
    return f"internal error: {type(error).__name__} (the daemon's log says where)"


def error_body(error: BaseException) -> dict[str, Any]:
    """The JSON object of an error."""
    content: dict[str, Any] = {"kind": describe(error).kind, "message": error_text(error)}
    if isinstance(error, LaunchError):
        content["exit_status"] = error.exit_status
    return {"error": content}


def revive(body: object) -> KwhostError:
    """The error that a JSON object tells of; ApiError where it tells of none that is known."""
    content = body.get("error") if isinstance(body, dict) else None
    if not isinstance(content, dict) or not isinstance(content.get("message"), str):
        return ApiError("the daemon reports an error that this version does not understand")
    error_class = _CLASSES.get(str(content.get("kind")), ApiError)
    text = content["message"]
    if error_class is LaunchError:
        status = content.get("exit_status")
        return LaunchError(text, status if isinstance(status, int) else EXIT_INTERNAL)
    error = error_class.__new__(error_class)
    error.args = (text,)  # the text is complete; a class whose constructor makes it must not do so again
    return error
