"""Users and groups of an image: from its own /etc/passwd and /etc/group.

The files may be hostile: links are not followed, only regular files are read, sizes and numbers are
bounded, and a line that makes no sense is passed over as the C library does.
"""

import os
import stat
from functools import lru_cache
from typing import NamedTuple

from kwhost.core.errors import ImageError, UsageError
from kwhost.core.model.instance import Identity

__all__ = ["Account", "Accounts", "parse_accounts", "read_accounts", "resolve_user"]

_FILE_MAX = 4 * 1024 * 1024
_ID_MAX = 0xFFFF_FFFE
_GROUPS_MAX = 32


class Account(NamedTuple):
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


class Accounts(NamedTuple):
    """Both files; groups by name with their members."""

    users: tuple[Account, ...] = ()
    groups: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


def _number(text: str) -> int | None:
    return (
        int(text)
        if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _ID_MAX
        else None
    )


def _fields(data: bytes, count: int) -> list[list[str]]:
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [fields for line in lines if len(fields := line.split(":")) == count and "\0" not in line]


@lru_cache(maxsize=2)
def parse_accounts(passwd: bytes, group: bytes) -> Accounts:
    """Read the text of both files."""
    users = []
    for name, _, uid, gid, _, home, _ in _fields(passwd, 7):
        numbers = _number(uid), _number(gid)
        if name and numbers[0] is not None and numbers[1] is not None:
            users.append(Account(name, numbers[0], numbers[1], home if home.startswith("/") else "/"))
    groups = []
    for name, _, gid, members in _fields(group, 4):
        number = _number(gid)
        if name and number is not None:
            groups.append((name, number, tuple(filter(None, members.split(",")))))
    return Accounts(tuple(users), tuple(groups))


def _read_plain(directory: int, name: str) -> bytes:
    """A regular file's content; nothing where there is none."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=directory)
    except OSError:
        return b""
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _FILE_MAX:
            return b""
        with open(fd, "rb", closefd=False) as file:
            return file.read(_FILE_MAX)
    finally:
        os.close(fd)


def read_accounts(root: str) -> Accounts:
    """The accounts of the root at a directory; none where it has no readable files for them."""
    directory_flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        top = os.open(root, directory_flags)
    except OSError as error:
        raise ImageError(f"cannot open the root file system {root}: {error.strerror}") from error
    try:
        etc = os.open("etc", directory_flags | os.O_NOFOLLOW, dir_fd=top)
    except OSError:
        return Accounts()
    finally:
        os.close(top)
    try:
        return parse_accounts(_read_plain(etc, "passwd"), _read_plain(etc, "group"))
    finally:
        os.close(etc)


def _find_group(accounts: Accounts, text: str) -> int:
    for name, gid, _ in accounts.groups:
        if name == text:
            return gid
    if (number := _number(text)) is not None:
        return number
    raise UsageError(f"the image has no group {text!r}: name one of its /etc/group, or a number")


def resolve_user(accounts: Accounts, user: str | None, id_count: int) -> Identity:
    """Who `-u USER[:GROUP]` is; names before numbers, as useradd and Docker take them."""
    wanted, colon, group = (user or "0").partition(":")
    if not wanted or (colon and not group):
        raise UsageError(f"{user!r} is no user: write USER or USER:GROUP, by name or number")
    number = _number(wanted)
    account = next((entry for entry in accounts.users if entry.name == wanted), None)
    if account is None and number is not None:
        account = next((entry for entry in accounts.users if entry.uid == number), None)
    if account is None:
        if number is None:
            raise UsageError(f"the image has no user {wanted!r}: name one of its /etc/passwd, or a number")
        account = Account("", number, 0, "/root" if number == 0 else "/")
    gid = account.gid
    groups: tuple[int, ...] = ()
    if group:
        gid = _find_group(accounts, group)
    elif account.name:
        groups = tuple(entry for _, entry, members in accounts.groups if account.name in members)
    for checked in (account.uid, gid):
        if checked >= id_count:
            raise UsageError(f"id {checked} does not exist in the instance: it has ids 0 to {id_count - 1}")
    groups = tuple(dict.fromkeys(entry for entry in groups if entry < id_count))[:_GROUPS_MAX]
    return Identity(uid=account.uid, gid=gid, groups=groups, home=account.home)
