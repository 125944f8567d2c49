"""Images as they are kept on this host."""

from dataclasses import dataclass, field, replace

from kwhost.core.model.healthcheck import Healthcheck

__all__ = ["ImageSettings", "StoredImage"]


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
class StoredImage:
    """One name of an image. `index` is the digest of the list of images for several platforms that it was
    chosen from, if any. `tenant` is None for an image of the operator, which all tenants may use. `size`
    is what its layers take, unpacked, in bytes, with what it shares with others; `layers` are from the lowest
    up; `added` is a Unix time. `instances` are those that have it, as TENANT/NAME, where that was asked;
    `private` are the tenants whose instances have a copy of their own."""

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

    def with_instances(self, names: tuple[str, ...]) -> "StoredImage":
        """The same, with who has it."""
        return replace(self, instances=names)

    def with_private(self, tenants: tuple[str, ...]) -> "StoredImage":
        """The same, with who has a copy."""
        return replace(self, private=tenants)
