"""The JSON documents of images: manifests, indices, configurations, and what `docker save` writes.

They come from anybody: sizes are bounded before, types and values are checked here, and what is not known is
passed over, as the specification wants it. Source: OCI image specification 1.1.
"""

from typing import Annotated, TypeVar

import msgspec

from kwhost.core.errors import ImageError
from kwhost.core.images.digests import Digest, parse_digest

__all__ = [
    "DOCUMENT_MAX",
    "LAYERS_MAX",
    "Configuration",
    "Descriptor",
    "DockerArchive",
    "Index",
    "Manifest",
    "Platform",
    "Process",
    "decode",
    "is_index",
]

DOCUMENT_MAX = 4 * 1024 * 1024
LAYERS_MAX = 127  # as Docker has it; the list that the jail gives to overlayfs takes one more
_INDEX_MAX = 1000
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER_TYPES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")

_Text = Annotated[str, msgspec.Meta(max_length=4096)]
_Long = Annotated[str, msgspec.Meta(max_length=128 * 1024)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Words = Annotated[list[_Long], msgspec.Meta(max_length=10_000)]
# What the keys have is of no interest, and may be anything: it is not made into objects.
_Keys = Annotated[dict[_Text, msgspec.Raw], msgspec.Meta(max_length=10_000)]


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on."""

    architecture: _Text = ""
    os: _Text = ""
    variant: _Text = ""


class Descriptor(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    """Names content."""

    digest: _Text
    size: _Size
    media_type: _Text = ""
    platform: Platform | None = None
    annotations: dict[_Text, _Long] | None = None

    @property
    def name(self) -> Digest:
        """The digest, checked. Raises ImageError."""
        return parse_digest(self.digest)


class Index(msgspec.Struct, frozen=True):
    """Several images under one name."""

    manifests: Annotated[list[Descriptor], msgspec.Meta(max_length=_INDEX_MAX)]


class Manifest(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    """One image: its configuration, and its layers from the lowest up."""

    config: Descriptor
    layers: Annotated[list[Descriptor], msgspec.Meta(min_length=1, max_length=LAYERS_MAX)]
    media_type: _Text = ""

    @property
    def known_type(self) -> str:
        """Which of the two kinds of manifests it is."""
        return _DOCKER_MANIFEST if self.media_type == _DOCKER_MANIFEST else _OCI_MANIFEST

    def check_layers(self) -> None:
        """Raise ImageError for what is no image of a root file system, or has layers elsewhere."""
        for layer in self.layers:
            if not layer.media_type.startswith(_LAYER_TYPES) or "foreign" in layer.media_type:
                raise ImageError(
                    f"it has a layer of the kind {layer.media_type[:100]!r}, which is no image's"
                )


class _Health(msgspec.Struct, frozen=True, rename="pascal"):
    test: _Words | None = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    retries: int | None = None


class Process(msgspec.Struct, frozen=True, rename="pascal"):
    """What is run."""

    user: _Text | None = None
    env: _Words | None = None
    entrypoint: _Words | None = None
    cmd: _Words | None = None
    working_dir: _Text | None = None
    stop_signal: _Text | None = None
    healthcheck: _Health | None = None
    exposed_ports: _Keys | None = None
    volumes: _Keys | None = None


class _Root(msgspec.Struct, frozen=True):
    diff_ids: Annotated[list[_Text], msgspec.Meta(max_length=LAYERS_MAX)]


class Configuration(msgspec.Struct, frozen=True):
    """What is run, and of which plain archives the layers are."""

    rootfs: _Root
    architecture: _Text = ""
    os: _Text = ""
    created: _Text | None = None
    config: Process | None = None


class DockerArchive(msgspec.Struct, frozen=True, rename="pascal"):
    """One entry of the `manifest.json` of `docker save`: paths in the archive, and names of the image."""

    config: _Text
    layers: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=LAYERS_MAX)]
    repo_tags: Annotated[list[_Text], msgspec.Meta(max_length=100)] | None = None


_Document = TypeVar("_Document")


def decode(data: bytes, kind: type[_Document], what: str) -> _Document:
    """A document, checked. Raises ImageError, which says what is wrong with `what`."""
    if len(data) > DOCUMENT_MAX:
        raise ImageError(f"{what} is larger than {DOCUMENT_MAX} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ImageError(f"{what} is not as it must be: {error}") from error


class _Kind(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    media_type: _Text = ""
    manifests: msgspec.Raw = msgspec.Raw(b"null")


def is_index(data: bytes) -> bool:
    """Whether a document names several images rather than being one. Raises ImageError."""
    kind = decode(data, _Kind, "the manifest")
    return kind.media_type in _INDEX_TYPES or (not kind.media_type and bytes(kind.manifests) != b"null")
