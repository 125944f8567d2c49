"""Reading the files that secrets are in."""

import os
import stat
from collections.abc import Iterable

from kwhost.core.errors import UsageError
from kwhost.core.model.secrets import SECRETS_SIZE_MAX, Secret, check_secrets

__all__ = ["read_secrets"]


def read_secrets(secrets: Iterable[Secret], *, pipes: bool) -> dict[str, bytes]:
    """What the files of secrets have now, by the secrets' names. With `pipes`, for who named them, one may be
    a pipe, such as a shell makes for `<(COMMAND)`, which is waited for; without, errors do not say where the
    operator keeps them. Raises UsageError."""
    contents: dict[str, bytes] = {}
    for secret in secrets:
        if secret.name in contents:
            raise UsageError(f"there are two secrets {secret.name}")
        assert secret.file is not None
        contents[secret.name] = _read(secret.name, secret.file, pipes=pipes)
    check_secrets({name: len(content) for name, content in contents.items()})
    return contents


def _read(name: str, path: str, *, pipes: bool) -> bytes:
    what = f"cannot read the secret {name}" + (f" from {path}" if pipes else "")
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | (0 if pipes else os.O_NONBLOCK)
    try:
        with open(os.open(path, flags), "rb", buffering=0) as file:
            kind = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(kind) and not (pipes and stat.S_ISFIFO(kind)):
                raise UsageError(f"{what}: it is no file")
            return _read_bounded(file.fileno(), what)
    except OSError as error:
        raise UsageError(f"{what}: {error.strerror}") from error


def _read_bounded(fd: int, what: str) -> bytes:
    content = bytearray()
    while piece := os.read(fd, SECRETS_SIZE_MAX + 1 - len(content)):
        content += piece
        if len(content) > SECRETS_SIZE_MAX:
            raise UsageError(f"{what}: it has more than {SECRETS_SIZE_MAX // 1024} KiB")
    return bytes(content)
