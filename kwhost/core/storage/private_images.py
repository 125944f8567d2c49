"""Images that a tenant's instances share with nobody else: copies, so that no page of them in the host's
memory is another's. (A reflink is one: only what is on the disk is shared then.)

    STATE_DIR/private/TENANT/HEX/files   what the image's layers show, by the image's digest
    STATE_DIR/private/TENANT/HEX/size    the bytes of its files
    STATE_DIR/private/.new-..., .gone-...   what is being made or removed; gone with whoever does it

Every method blocks.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.digests import hex_of, parse_digest
from kwhost.core.images.on_disk import locked_directory, sync, sync_file_system_of
from kwhost.core.images.removal import remove_tree
from kwhost.core.images.room import room_for
from kwhost.core.images.store import telling_full_disk
from kwhost.core.images.unpackers import LeaseIds
from kwhost.core.model.ids import TenantName
from kwhost.core.model.units import format_bytes
from kwhost.core.storage.root_copies import clear_copy, copy_root

__all__ = ["PrivateImages"]


class PrivateImages:
    """Of one state directory. Images go by the digests of their manifests."""

    def __init__(self, state_dir: Path, lease_ids: LeaseIds) -> None:
        self._path = state_dir / "private"
        self._lease_ids = lease_ids

    def sizes(self) -> dict[tuple[TenantName, str], int]:
        """Those that there are, by tenant and digest, each with its bytes. Raises HostError."""
        found = {}
        for file in self._path.glob("[!.]*/*/size"):
            with suppress(FileNotFoundError, ValueError), telling_full_disk("count private images"):
                tenant = TenantName(file.parent.parent.name)
                found[tenant, f"sha256:{file.parent.name}"] = int(file.read_text(encoding="ascii"))
        return found

    def files(self, tenant: TenantName, digest: str) -> Path | None:
        """Where a copy's files are, if there is one."""
        files = self._place(tenant, digest) / "files"
        return files.resolve() if files.is_dir() else None

    def make(
        self,
        tenant: TenantName,
        digest: str,
        layers: Sequence[str],
        look: Callable[[], object],
        most: int | None = None,
    ) -> tuple[Path, int]:
        """Make one that is not there, of so many bytes at `most`; its files, and their bytes. Raises
        HostError, ImageError, and what `look` raises, with nothing left."""
        place, made = self._place(tenant, digest), self._path / f".new-{secrets.token_hex(8)}"
        full = f"there is too little room for a private copy of an image in {self._path}; free some space"
        if most is not None:
            full += f", or give {tenant} more storage: {format_bytes(most)} are left of it"

        def look_at_both() -> None:
            look()
            room_for(self._path)

        with telling_full_disk(f"make {place}"):
            (made / "files").mkdir(mode=0o700, parents=True)
            try:
                with locked_directory(made):
                    room_for(self._path)
                    files = made / "files"
                    size = copy_root(layers, files, self._lease_ids, look_at_both, full, most).size
                    (made / "size").write_text(f"{size}\n", encoding="ascii")
                    sync_file_system_of(made)
                    place.parent.mkdir(mode=0o700, exist_ok=True)
                    made.rename(place)
                    sync(place.parent, self._path)
            except BaseException:
                with suppress(HostError, OSError):  # a repair tries again
                    self._discard(made)
                raise
        return (place / "files").resolve(), size

    def remove(self, tenant: TenantName, digest: str) -> None:
        """Remove one that no instance has. Raises HostError."""
        gone = self._path / f".gone-{secrets.token_hex(8)}"
        with telling_full_disk(f"remove the private image {gone}"), suppress(FileNotFoundError):
            place = self._place(tenant, digest)
            with locked_directory(place):
                place.rename(gone)
                self._discard(gone)
            place.parent.rmdir()

    def _discard(self, place: Path) -> None:
        clear_copy(place / "files", self._lease_ids)
        remove_tree(place)

    def repair(self) -> None:
        """Take away what was left by whoever was killed while one was made or removed. Raises HostError."""
        for left in self._path.glob(".*"):
            with (
                telling_full_disk(f"remove what is left of a private image, {left}"),
                suppress(FileNotFoundError, BlockingIOError),
                locked_directory(left),
            ):
                self._discard(left)

    def _place(self, tenant: TenantName, digest: str) -> Path:
        return self._path / tenant / hex_of(parse_digest(digest))
