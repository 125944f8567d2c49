"""Who a user is for a registry: the files that docker login, podman login and skopeo login write too, and the
programs that these have credentials kept by (`credHelpers`, `credsStore`)."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kwhost.core.errors import HostError, UsageError
from kwhost.core.images.credential_helper import ask_helper

__all__ = [
    "Credentials",
    "find_credentials",
    "forget_credentials",
    "keep_credentials",
    "parse_credentials",
]

_FILE_MAX = 1 << 20
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers say for what is no password


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


def _helper(content: dict[str, Any], registry: str) -> str:
    """The name of the program that a file has the credentials kept by; "" where it keeps them itself."""
    helpers = content.get("credHelpers")
    named = helpers.get(registry) if isinstance(helpers, dict) else None
    found = named or content.get("credsStore") or ""
    return found if isinstance(found, str) else ""


def _entries(content: dict[str, Any]) -> dict[str, Any]:
    entries = content.get("auths")
    return entries if isinstance(entries, dict) else {}


def _keys(entries: dict[str, Any], registry: str) -> list[str]:
    """Under which names a file has a registry: older programs wrote an address, https://HOST/v1/."""
    return [
        key for key in entries if key == registry or key.partition("://")[2].partition("/")[0] == registry
    ]


def _from_helper(helper: str, registry: str) -> Credentials | None:
    answer = ask_helper(helper, "get", registry)
    if answer is None:
        return None
    try:
        fields = json.loads(answer)
        user, password = fields["Username"], fields["Secret"]
    except (ValueError, TypeError, KeyError, RecursionError):
        user = password = None
    if not isinstance(user, str) or not isinstance(password, str):
        raise HostError(f"what docker-credential-{helper} has for {registry} makes no sense")
    if user == _TOKEN_USER:
        raise HostError(f"docker-credential-{helper} has a token for {registry}, not a name and a password")
    return Credentials(user, password)


def _from_entry(entry: object, registry: str, file: Path) -> Credentials | None:
    if not (isinstance(entry, dict) and isinstance(entry.get("auth"), str) and entry["auth"]):
        return None
    try:
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    except ValueError as error:  # no base64, or no text
        raise HostError(f"the credentials for {registry} in {file} make no sense") from error
    return Credentials(user, password)


def find_credentials(registry: str, environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The user's for a registry; None where there are none. Raises HostError."""
    for file in _files(os.environ if environment is None else environment):
        content = _read(file)
        helper = _helper(content, registry)
        found = _from_helper(helper, registry) if helper else None
        if found:
            return found
        entries = _entries(content)
        for key in sorted(_keys(entries, registry), key=len):  # the plain name first
            if known := _from_entry(entries[key], registry, file):
                return known
    return None


def keep_credentials(
    registry: str, credentials: Credentials, environment: Mapping[str, str] | None = None
) -> str:
    """Keep them where the file that is looked at first wants it: in itself, readable by this user alone, or
    by a helper; which of them. Raises HostError."""
    file = _files(os.environ if environment is None else environment)[0]
    content = _read(file)
    helper = _helper(content, registry)
    if helper:
        fields = {"ServerURL": registry, "Username": credentials.user, "Secret": credentials.password}
        ask_helper(helper, "store", json.dumps(fields))
    entry = {} if helper else {"auth": credentials.basic()}
    _write(file, {**content, "auths": {**_entries(content), registry: entry}})
    return f"docker-credential-{helper}" if helper else str(file)


def forget_credentials(registry: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Remove them wherever they would be found; from where they went. Raises HostError."""
    places = []
    for file in _files(os.environ if environment is None else environment):
        content = _read(file)
        helper, entries = _helper(content, registry), _entries(content)
        if helper and ask_helper(helper, "get", registry) is not None:
            ask_helper(helper, "erase", registry)
            places.append(f"docker-credential-{helper}")
        if keys := _keys(entries, registry):
            _write(file, {**content, "auths": {key: entries[key] for key in entries if key not in keys}})
            places.append(str(file))
    return tuple(dict.fromkeys(places))


def _write(file: Path, content: dict[str, Any]) -> None:
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump(content, opened, indent=2)
        fresh.replace(file)
    except OSError as error:
        raise HostError(f"cannot keep credentials in {file}: {error.strerror}") from error
