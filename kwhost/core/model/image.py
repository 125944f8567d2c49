"""Images as they are kept on this host."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from kwhost.core.model.healthcheck import Healthcheck

__all__ = ["ImageSettings", "ListedImage", "StoredImage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """What an image says about running it. `stop_signal` is its number; `ports` are as in `8080/tcp`."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str | None = None
    stop_signal: int | None = None
    healthcheck: Healthcheck | None = None
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    def program(self, entrypoint: tuple[str, ...] | None, command: tuple[str, ...]) -> tuple[str, ...]:
        """What is run where these were asked for, if anything (None, an empty command): the entrypoint, then
        the command."""
        if entrypoint is not None:
            return entrypoint + command
        return self.entrypoint + (command or self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """One name of an image, as lists have it: an owner may have a thousand names of an image that says much
    of itself. `index` is the digest of the list of images for several platforms that it was chosen from, if
    any. `tenant` is None for an image of the operator, which all tenants may use. `size` is what its layers
    take, unpacked, in bytes, with what it shares with others; `added` is a Unix time."""

    name: str
    digest: str
    tenant: str | None
    size: int
    layer_count: int
    added: float
    index: str | None = None
    created: str | None = None
    instance_count: int = 0

    def with_instances(self, names: Collection[str]) -> "ListedImage":
        """The same, with how many have it."""
        return replace(self, instance_count=len(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """All about one name of an image, as in ListedImage; `layers` are from the lowest up, `instances` are
    those that have it, as TENANT/NAME, where that was asked; `private` are the tenants whose instances have a
    copy of their own."""

    name: str
    digest: str
    tenant: str | None
    size: int
    layers: tuple[str, ...]
    added: float
    index: str | None = None
    created: str | None = None
    settings: ImageSettings = field(default_factory=ImageSettings)
    instances: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def with_instances(self, names: Collection[str]) -> "StoredImage":
        """The same, with who has it."""
        return replace(self, instances=tuple(names))

    def with_private(self, tenants: tuple[str, ...]) -> "StoredImage":
        """The same, with who has a copy."""
        return replace(self, private=tenants)

    def listed(self) -> ListedImage:
        """As lists have it."""
        return ListedImage(
            name=self.name,
            digest=self.digest,
            tenant=self.tenant,
            size=self.size,
            layer_count=len(self.layers),
            added=self.added,
            index=self.index,
            created=self.created,
            instance_count=len(self.instances),
        )
