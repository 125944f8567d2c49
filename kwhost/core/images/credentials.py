"""Who a user is for a registry: the file that docker login, podman login and skopeo login write too."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kwhost.core.errors import HostError, UsageError

__all__ = ["Credentials", "find_credentials", "keep_credentials", "parse_credentials"]

_FILE_MAX = 1 << 20


class Credentials(NamedTuple):
    """A name and its password, or token."""

    user: str
    password: str

    def basic(self) -> str:
        """As a request has them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def parse_credentials(text: str) -> Credentials:
    """Read USER:PASSWORD. Raises UsageError, which does not show it."""
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise UsageError("--creds must be USER:PASSWORD")
    return Credentials(user, password)


def _files(environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME") or "/")
    named = environment.get("REGISTRY_AUTH_FILE")
    runtime = environment.get("XDG_RUNTIME_DIR")
    return [
        *([Path(named)] if named else []),
        Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json",
        *([Path(runtime) / "containers/auth.json"] if runtime else []),
    ]


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(_FILE_MAX))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise HostError(f"cannot read the credentials in {file}: {error}") from error
    return content if isinstance(content, dict) else {}


def find_credentials(registry: str, environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The user's for a registry; None where there are none. Raises HostError."""
    for file in _files(os.environ if environment is None else environment):
        entries = _read(file).get("auths")
        entry = entries.get(registry) if isinstance(entries, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get("auth"), str):
            try:
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            except ValueError as error:  # no base64, or no text
                raise HostError(f"the credentials for {registry} in {file} make no sense") from error
            return Credentials(user, password)
    return None


def keep_credentials(
    registry: str, credentials: Credentials, environment: Mapping[str, str] | None = None
) -> Path:
    """Keep them in the file that is looked at first, readable by this user alone. Raises HostError."""
    file = _files(os.environ if environment is None else environment)[0]
    content = _read(file)
    entries = content.get("auths")
    kept = {**entries} if isinstance(entries, dict) else {}
    kept[registry] = {"auth": credentials.basic()}
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump({**content, "auths": kept}, opened, indent=2)
        fresh.replace(file)
    except OSError as error:
        raise HostError(f"cannot keep credentials in {file}: {error.strerror}") from error
    return file
