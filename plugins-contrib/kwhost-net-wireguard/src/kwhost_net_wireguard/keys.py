"""WireGuard's keys, in base64: checked, read from files that nobody else may read, generated."""

import os
import stat
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import NewType

from kwhost.core.errors import HostError
from kwhost.core.model.ids import TenantName

__all__ = ["NO_KEY", "Key", "key_file", "own_key", "parse_key", "public_key", "read_key"]

# 32 bytes in base64, in the one form that WireGuard's tools write.
Key = NewType("Key", str)

_BYTES = 32
_FILE_MAX = 1024
# A preshared key of zeros means that there is none.
NO_KEY = Key(b64encode(bytes(_BYTES)).decode())


def parse_key(text: str, what: str) -> Key:
    """Check a key. Raises ValueError, which says nothing of the key."""
    try:
        octets = b64decode(text, validate=True)
    except ValueError:
        octets = b""
    if len(octets) != _BYTES or b64encode(octets).decode() != text:
        raise ValueError(f"{what} is no key of WireGuard: 44 characters of base64")
    return Key(text)


def _clamped(octets: bytes) -> Key:
    """A private key as the kernel keeps it (RFC 7748, 5), so that both can be compared."""
    ends = bytes((octets[0] & 248,)), bytes(((octets[31] & 127) | 64,))
    return Key(b64encode(ends[0] + octets[1:31] + ends[1]).decode())


def public_key(private: Key) -> Key:
    """The public key that belongs to a private one."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # it is large

    own = X25519PrivateKey.from_private_bytes(b64decode(private))
    return Key(b64encode(own.public_key().public_bytes_raw()).decode())


def read_key(path: Path, *, private: bool = True) -> Key:
    """A private or preshared key. Raises HostError, also where others than its owner may read the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise HostError(f"cannot read the key {path}: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise HostError(f"the key {path} is no ordinary file")
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o077:
            text = "run chown root, then chmod 600, on it"
            raise HostError(f"others may read or change the key {path}: {text}")
        content = os.read(descriptor, _FILE_MAX)
    finally:
        os.close(descriptor)
    try:
        key = parse_key(content.decode("ascii", "replace").strip(), str(path))
    except ValueError as error:
        raise HostError(str(error)) from error
    return _clamped(b64decode(key)) if private else key


def key_file(state_dir: Path, tenant: TenantName) -> Path:
    """Where a generated key is kept."""
    return state_dir / "plugins" / "wireguard" / f"{tenant}.key"


def own_key(state_dir: Path, tenant: TenantName) -> Key:
    """The tenant's generated private key on this host, the same one each time. Raises HostError."""
    path = key_file(state_dir, tenant)
    if not path.exists():
        try:
            _generate(path)
        except OSError as error:
            raise HostError(f"cannot make the key {path}: {error.strerror}") from error
    return read_key(path)


def _generate(path: Path) -> None:
    """Whole or not at all, and never instead of another one: two may generate at the same time."""
    for directory in (path.parent.parent, path.parent):
        directory.mkdir(mode=0o700, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_clamped(os.urandom(_BYTES))}\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink()
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
