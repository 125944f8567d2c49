"""The volumes that a command is about: a daemon's where one runs, else those of this user."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from kwhost.core.cli.connection import connect, daemon_answers
from kwhost.core.config.host import load_host_config
from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.ids import DEFAULT_TENANT

if TYPE_CHECKING:
    from kwhost.core.api.client import Client
    from kwhost.core.storage.volume_store import VolumeStore

__all__ = ["VolumeAccess", "open_access"]


class VolumeAccess(Protocol):
    """Volumes as JSON values. Raises KwhostError."""

    def all_volumes(self) -> list[dict[str, Any]]:
        """What there is."""

    def inspect(self, name: str) -> dict[str, Any]:
        """One of them, with what is used of it."""

    def create(self, name: str, size: int | None) -> dict[str, Any]:
        """Make one."""

    def remove(self, name: str) -> dict[str, Any]:
        """Remove one with its files."""

    def unused(self) -> list[dict[str, Any]]:
        """Those that no instance has."""

    def prune(self) -> list[dict[str, Any]]:
        """Remove them; which they were."""


class _Daemon:
    def __init__(self, client: "Client", tenant: str | None) -> None:
        self._client = client
        self._query = {"tenant": tenant}

    def all_volumes(self) -> list[dict[str, Any]]:
        """See VolumeAccess."""
        found: list[dict[str, Any]] = self._client.request("GET", "/v1/volumes", self._query)
        return found

    def inspect(self, name: str) -> dict[str, Any]:
        """See VolumeAccess."""
        found: dict[str, Any] = self._client.request("GET", _path(name), self._query)
        return found

    def create(self, name: str, size: int | None) -> dict[str, Any]:
        """See VolumeAccess."""
        body = {"name": name, "size": size}
        made: dict[str, Any] = self._client.request("POST", "/v1/volumes", self._query, body)
        return made

    def remove(self, name: str) -> dict[str, Any]:
        """See VolumeAccess."""
        removed: dict[str, Any] = self._client.request("DELETE", _path(name), self._query)
        return removed

    def unused(self) -> list[dict[str, Any]]:
        """See VolumeAccess."""
        return [volume for volume in self.all_volumes() if not volume["instances"]]

    def prune(self) -> list[dict[str, Any]]:
        """See VolumeAccess."""
        removed: list[dict[str, Any]] = self._client.request("POST", "/v1/prune/volumes", self._query)
        return removed


def _path(name: str) -> str:
    return f"/v1/volumes/{quote(os.fsencode(name), safe='')}"


class _Local:
    def __init__(self, store: "VolumeStore") -> None:
        self._store = store

    def all_volumes(self) -> list[dict[str, Any]]:
        """See VolumeAccess."""
        return [asdict(volume) for volume in self._store.list(DEFAULT_TENANT)]

    def inspect(self, name: str) -> dict[str, Any]:
        """See VolumeAccess."""
        return asdict(self._store.inspect(DEFAULT_TENANT, name))

    def create(self, name: str, size: int | None) -> dict[str, Any]:
        """See VolumeAccess."""
        return asdict(self._store.create(DEFAULT_TENANT, name, size))

    def remove(self, name: str) -> dict[str, Any]:
        """See VolumeAccess."""
        return asdict(self._store.remove(DEFAULT_TENANT, name))

    def unused(self) -> list[dict[str, Any]]:
        """Which instances have volumes a daemon alone knows."""
        return self.prune()

    def prune(self) -> list[dict[str, Any]]:
        """Which instances have volumes a daemon alone knows."""
        raise Conflict("pruning volumes needs a daemon, which knows the instances: kwhost up -d starts one")


def open_access(host: str | None, tenant: str | None) -> VolumeAccess:
    """A tenant's volumes; None: those of `default`, or of this user's only tenant."""
    settings = load_host_config()
    asked = host or os.environ.get("KWHOST_HOST")
    if asked or daemon_answers(settings.api):
        return _Daemon(connect(host), tenant)
    if tenant is not None:
        raise UsageError("--tenant needs a daemon: kwhost up -d CONFIG starts one")
    from kwhost.core.local_volumes import open_volumes  # brings cffi

    return _Local(open_volumes(settings))
