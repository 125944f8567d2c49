"""The section [plugins.approve]."""

import ipaddress
import os
import stat
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from kwhost.core.errors import HostError, UsageError
from kwhost.core.model.decisions import Question, Scope
from kwhost.core.model.units import parse_duration
from msgspec import Meta

__all__ = ["Configuration", "OnFailure", "read_secret"]

_TIMEOUT_MIN, _TIMEOUT_MAX = 0.1, 3600.0
_SECRET_MIN, _SECRET_MAX = 16, 1024


class OnFailure(Enum):
    """What follows where the webhook gives no answer, or none that makes sense."""

    REFUSE = "refuse"
    LEAVE = "leave"  # to other plugins and the operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`url`: https, or http on this host alone. `secret_file`: what requests are signed with. `ca_file`: whom
    to trust instead of this host's authorities. `timeout`: how long one question may take. `max_scope`: for
    how long answers may hold. `tenants`, `instances`: patterns of the names that are asked about; questions
    of others are left. `concurrency`: requests at the same time."""

    url: str
    secret_file: str
    ca_file: str = ""
    timeout: str = "10s"
    on_failure: OnFailure = OnFailure.REFUSE
    max_scope: Scope = Scope.ONCE
    tenants: tuple[str, ...] = ("*",)
    instances: tuple[str, ...] = ("*",)
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8

    def __post_init__(self) -> None:
        _check_url(self.url)
        for name, path in (("secret_file", self.secret_file), ("ca_file", self.ca_file)):
            if path and not path.startswith("/"):
                raise ValueError(f"{name} must be an absolute path, not {path!r}")
        if not self.secret_file:
            raise ValueError("secret_file must be the absolute path of a file")
        try:
            seconds = self.timeout_seconds
        except UsageError as error:
            raise ValueError(str(error)) from error
        if not _TIMEOUT_MIN <= seconds <= _TIMEOUT_MAX:
            raise ValueError(f"timeout must be from 100ms to 1h, not {self.timeout}")

    @property
    def timeout_seconds(self) -> float:
        """`timeout` as a number."""
        return parse_duration(self.timeout)

    def is_about(self, question: Question) -> bool:
        """Whether the webhook is to be asked."""
        return any(fnmatchcase(question.tenant, pattern) for pattern in self.tenants) and any(
            fnmatchcase(question.name, pattern) for pattern in self.instances
        )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        has_port_of_a_number = parts.port != 0
    except ValueError as error:
        raise ValueError(f"url is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_port_of_a_number:
        raise ValueError(f"url must be https://HOST[:PORT]/PATH, not {url!r}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url has characters that URLs do not have")
    if parts.username is not None or parts.fragment:
        raise ValueError("url must have neither a user nor a fragment: requests are signed with secret_file")
    if parts.scheme == "http" and not _is_loopback(parts):
        raise ValueError("url must be https: answers over plain http can be forged; http is for 127.0.0.1")


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False  # names may be made to lead elsewhere


def read_secret(path: Path) -> bytes:
    """The secret in a file that nobody but its owner may read. Raises HostError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            mode = os.fstat(fd).st_mode
            data = file.read(_SECRET_MAX + 2) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise HostError(f"cannot read the secret file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise HostError(f"the secret file {path} is open to others: chmod 600 {path}")
    secret = data.strip()
    if not _SECRET_MIN <= len(secret) <= _SECRET_MAX:
        raise HostError(
            f"{path} holds no secret: write from {_SECRET_MIN} to {_SECRET_MAX} bytes, for example "
            "openssl rand -hex 32"
        )
    return secret
