"""Where images are kept: an OCI image layout, its layers unpacked, and who calls what how.

    blobs/sha256/HEX    manifests, configurations, layers as they came; what a name promises was checked
    layers/HEX/         a layer's files, by the digest of the blob that it came from
    images/HEX/         image.json and the accounts, by the digest of the manifest: what a start needs; and
                        which blobs it consists of (contents.json)
    references/T.json   the names of tenant T, or of the operator, each with a manifest's digest
    index.json          the same names for other programs (layout_index)
    ingest/             what is being made; gone with whoever made it
    removed/            what is no part of the store any more, until its files are removed

Everything gets its name when it is complete, by renaming, so that killing whoever makes it or a full disk
leave nothing half. Whoever adds holds a shared lock, whoever collects what is not referred to any more an
exclusive one. An image that is about to be used is pinned by a lock of its own.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.contents import read_contents
from kwhost.core.images.digests import Digest, digest_of, hex_of, parse_digest
from kwhost.core.images.layout_index import index_of
from kwhost.core.images.on_disk import locked, new_name, sync
from kwhost.core.images.removal import remove_tree
from kwhost.core.model.ids import TenantName

__all__ = [
    "OPERATOR",
    "ImageStore",
    "Named",
    "Owner",
    "telling_full_disk",
]

# Whose an image is: a tenant's, or the operator's, who shares it with all.
Owner = TenantName | None
OPERATOR: Owner = None

_OPERATORS_FILE = "_operator"  # no tenant can be called so
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_NAMES_MAX = 1000
_SAID_MAX = 4 * 1024 * 1024  # of all images: whoever lists them reads it
_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}\n'


class Named(NamedTuple):
    """What a name means, since when; `chosen_from` is the digest of the index that led to it, if one did."""

    digest: Digest
    added: float
    chosen_from: Digest | None = None

    def has(self, digest: Digest) -> bool:
        """Whether it may be called so: people name images by either."""
        return digest in (self.digest, self.chosen_from)


@contextmanager
def telling_full_disk(what: str) -> Iterator[None]:
    """Turn what the disk says into one line. Raises HostError."""
    try:
        yield
    except OSError as error:
        advice = "; free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise HostError(f"cannot {what}: {error.strerror or error}{advice}") from error


class ImageStore:
    """The images of one state directory, for several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layers = path / "layers"
        self.images = path / "images"
        self.ingest = path / "ingest"
        self._removed = path / "removed"
        self.pins = path / "pins"
        self.blobs = path / "blobs/sha256"
        self._references = path / "references"

    def make(self) -> None:
        """Make the directories; nobody else may look into them: layers have owners of their own."""
        with telling_full_disk(f"make the image store {self.path}"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self.blobs, self.layers, self.images, self.ingest, self._removed, self.pins):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._references.mkdir(mode=0o700, exist_ok=True)
            layout = self.path / "oci-layout"
            if not layout.exists():
                self.write_file(layout, _LAYOUT)

    # Locks. The kernel ends them with the process.

    @contextmanager
    def adding(self) -> Iterator[Path]:
        """A directory for what is being made; nothing is collected meanwhile."""
        self.make()
        with locked(self.path / "content.lock", fcntl.LOCK_SH):
            place = self.ingest / new_name()
            with telling_full_disk("begin to add an image"):
                place.mkdir(mode=0o700)
            try:
                yield place
            finally:
                with suppress(OSError):  # the next collection tries again
                    remove_tree(place)

    @contextmanager
    def using(self) -> Iterator[None]:
        """Nothing is collected meanwhile."""
        self.make()
        with locked(self.path / "content.lock", fcntl.LOCK_SH):
            yield

    @contextmanager
    def collecting(self) -> Iterator[bool]:
        """Whether things may be removed now: nobody adds anything."""
        self.make()
        try:
            with locked(self.path / "content.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    def pin(self, digest: Digest) -> int:
        """A descriptor that keeps an image from being collected as long as it is open. Raises HostError."""
        with telling_full_disk("pin an image"):
            self.pins.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.pins / hex_of(digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd

    def is_pinned(self, digest: Digest) -> bool:
        """Whether somebody holds it."""
        fd = os.open(self.pins / hex_of(digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    # Files.

    def write_file(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        """Have a file with this content, all of it or as it was before. One that is not `durable` outlasts a
        power failure only if its file system was synced meanwhile. Raises OSError."""
        temporary = path.parent / f".{path.name[:64]}-{new_name()}"
        try:
            with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.rename(path)
            if durable:
                sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    # Removing.

    def put_away(self, path: Path) -> None:
        """Have something gone from the store at once, however many files it has. Raises OSError."""
        path.rename(self._removed / new_name())

    def empty_removed(self) -> None:
        """Remove what was put away. Whoever does so already takes all of it along, and nobody waits: there
        may be millions of files. Raises HostError."""
        with telling_full_disk("remove what is left of images"), suppress(BlockingIOError):
            while any(self._removed.iterdir()):  # also what was put away while the lock was held
                with locked(self.path / "removed.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                    for path in list(self._removed.iterdir()):
                        remove_tree(path)

    # Blobs.

    def blob(self, digest: Digest) -> Path:
        """Where a blob is, if it is."""
        return self.blobs / hex_of(digest)

    def add_blob(self, content: bytes) -> Digest:
        """Keep a document; the image's record makes it durable. Raises HostError."""
        digest = digest_of(content)
        with suppress(ImageError):
            self.read_blob(digest, len(content))
            return digest
        with telling_full_disk("keep an image's document"):
            self.write_file(self.blob(digest), content, durable=False)
        return digest

    def name_blob(self, file: Path, digest: Digest) -> None:
        """Keep a file whose digest was checked, that nobody else has opened, and that is on the disk: whoever
        finds the name trusts the content. Raises HostError."""
        with telling_full_disk("keep an image's layer"):
            file.rename(self.blob(digest))

    def read_blob(self, digest: Digest, most: int) -> bytes:
        """A document. Raises ImageError where it is not there, or not what it was."""
        try:
            with self.blob(digest).open("rb") as file:
                content = file.read(most + 1)
        except FileNotFoundError:
            raise ImageError(f"the image's document {digest} is missing; load the image again") from None
        except OSError as error:
            raise ImageError(f"cannot read the image's document {digest}: {error.strerror}") from error
        if len(content) > most or digest_of(content) != digest:
            raise ImageError(f"the image's document {digest} was changed on disk; load the image again")
        return content

    # Names.

    def names(self, owner: Owner) -> dict[str, Named]:
        """The owner's own names. Raises ImageError."""
        file = self._references_file(owner)
        try:
            entries = json.loads(file.read_bytes())
            return {
                name: Named(parse_digest(digest), float(added), parse_digest(index) if index else None)
                for name, (digest, added, index) in entries.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ImageError(f"the names of images in {file} cannot be read: {error}") from error

    def owners(self) -> list[Owner]:
        """Everybody who has names."""
        stems = sorted(file.stem for file in self._references.glob("*.json") if not file.name.startswith("."))
        return [OPERATOR if stem == _OPERATORS_FILE else TenantName(stem) for stem in stems]

    def visible(self, owner: Owner) -> dict[str, tuple[Owner, Named]]:
        """The names that the owner may use: the operator's too, where the own ones do not hide them."""
        shared: dict[str, tuple[Owner, Named]] = {
            name: (OPERATOR, named) for name, named in self.names(OPERATOR).items()
        }
        if owner is OPERATOR:
            return shared
        return shared | {name: (owner, named) for name, named in self.names(owner).items()}

    def content(self, owner: Owner) -> dict[Digest, int]:
        """All that the owner's own images consist of, each part once, with the bytes that it takes; what is
        damaged is not known. Raises ImageError."""
        found: dict[Digest, int] = {}
        for digest in {named.digest for named in self.names(owner).values()}:
            with suppress(ImageError):  # whoever uses it is told
                found |= read_contents(self.images, digest).blobs
        return found

    def set_names(self, owner: Owner, names: Mapping[str, Named]) -> None:
        """Have names mean images, all or none of them. Raises HostError, ImageError."""
        with self._changing_names(owner) as entries:
            entries.update(names)
            if len(entries) > _NAMES_MAX:
                raise ImageError(
                    f"there would be {len(entries)} names of images, more than {_NAMES_MAX}; remove some"
                )
            if sum(map(self._said, {each.digest for each in entries.values()})) > _SAID_MAX:
                raise ImageError(
                    f"the images would say more than {_SAID_MAX} bytes of themselves; remove some"
                )

    def _said(self, digest: Digest) -> int:
        try:
            return read_contents(self.images, digest).said
        except ImageError:  # whoever uses a damaged image is told
            return 0

    def remove_name(self, owner: Owner, name: str) -> Named | None:
        """Forget a name; what it meant. Raises HostError, ImageError."""
        with self._changing_names(owner) as entries:
            return entries.pop(name, None)

    @contextmanager
    def _changing_names(self, owner: Owner) -> Iterator[dict[str, Named]]:
        self.make()
        with locked(self.path / "references.lock", fcntl.LOCK_EX):
            entries = self.names(owner)
            before = dict(entries)
            yield entries
            if entries != before:
                with telling_full_disk("keep an image's name"):
                    self.write_file(self._references_file(owner), json.dumps(entries).encode())
                self._write_index()

    def _write_index(self) -> None:
        names = {
            name if owner is OPERATOR else f"{owner}+{name}": named.digest
            for owner in self.owners()
            for name, named in self.names(owner).items()
        }
        manifests = {}
        for digest in set(names.values()):
            with suppress(ImageError):  # whoever uses a damaged image is told
                manifests[digest] = read_contents(self.images, digest)
        with telling_full_disk("keep the images' index"):
            self.write_file(self.path / "index.json", index_of(names, manifests))

    def _references_file(self, owner: Owner) -> Path:
        return self._references / f"{_OPERATORS_FILE if owner is OPERATOR else owner}.json"
