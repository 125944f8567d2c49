"""Reading and writing the kernel's small control files."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import LimitError

__all__ = [
    "Setting",
    "add_up",
    "apply",
    "count_processes",
    "make_directories",
    "open_for_writing",
    "read_keyed",
    "read_number",
    "read_text",
    "remove_made",
    "remove_tree",
]


class Setting(NamedTuple):
    """A value and the file that takes it; `optional`: where the file, or the process that the value names, is
    not there, nothing that matters is lacking."""

    file: Path
    value: str
    optional: bool = False


def apply(settings: Iterable[Setting]) -> None:
    """Write each in order. Raises LimitError at the first that the kernel refuses."""
    for setting in settings:
        try:
            _write(setting)
        except OSError as error:
            if setting.optional and error.errno in (errno.ENOENT, errno.ESRCH):
                continue
            raise LimitError(f"cannot write '{setting.value}' to {setting.file}: {error.strerror}") from error


def _write(setting: Setting) -> None:
    fd = os.open(setting.file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, setting.value.encode())
    finally:
        os.close(fd)


def read_text(file: Path) -> str | None:
    """The text of a file; None where there is none, or its group has gone.

    Listings read thousands, and without buffers it costs half of Path.read_text.
    """
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read().decode("ascii", "replace")
    except OSError:
        return None


def read_number(file: Path) -> int | None:
    """The number in a file; None where there is none."""
    text = (read_text(file) or "").strip()
    return int(text) if text.isdecimal() else None


def read_keyed(file: Path, key: str) -> int | None:
    """The number behind a key in a file of lines "key number"."""
    for line in (read_text(file) or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdecimal():
            return int(value)
    return None


def add_up(values: Iterable[str]) -> int:
    """The sum of those that are numbers."""
    return sum(int(value) for value in values if value.isdecimal())


def count_processes(groups: Iterable[Path]) -> int | None:
    """How many processes are in these groups together; None where there is none of the groups."""
    texts = [text for group in groups if (text := read_text(group / "cgroup.procs")) is not None]
    return sum(len(text.split()) for text in texts) if texts else None


def make_directories(directories: Iterable[Path]) -> list[Path]:
    """Make those that are not there, and return them; all or none. Raises LimitError."""
    made: list[Path] = []
    for directory in directories:
        try:
            directory.mkdir(mode=0o755)
        except FileExistsError:
            continue
        except OSError as error:
            remove_made(made)
            raise LimitError(f"cannot make the control group {directory}: {error.strerror}") from error
        made.append(directory)
    return made


def remove_made(directories: list[Path]) -> None:
    """Undo `make_directories`; nothing has joined them yet."""
    for directory in reversed(directories):
        with suppress(OSError):
            directory.rmdir()


def remove_tree(directory: Path) -> None:
    """Remove a group and those beneath it. Raises OSError; EBUSY where something is still in one of them."""
    try:
        below = [entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for path in below:
        remove_tree(Path(path))
    with suppress(FileNotFoundError):
        directory.rmdir()


def open_for_writing(files: Iterable[Path]) -> tuple[int, ...]:
    """Descriptors, which the caller closes; all or none. Raises LimitError."""
    fds: list[int] = []
    for file in files:
        try:
            fds.append(os.open(file, os.O_WRONLY | os.O_CLOEXEC))
        except OSError as error:
            for fd in fds:
                os.close(fd)
            raise LimitError(f"cannot open {file}: {error.strerror}") from error
    return tuple(fds)
