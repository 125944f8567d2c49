"""Users and groups of an image: from its own /etc/passwd and /etc/group.

The files may be hostile: links are not followed, only regular files are read, sizes and numbers are
bounded, and a line that makes no sense is passed over as the C library does.
"""

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kwhost.core.errors import ImageError, UsageError
from kwhost.core.model.instance import Identity

__all__ = ["Account", "Accounts", "read_accounts", "resolve_user"]

_FILE_MAX = 1024 * 1024
_ID_MAX = 0xFFFF_FFFE
_GROUPS_MAX = 32
_LINES_MAX = 1000  # that are about one user
_FIELD = rb"[^:\n\0]*"
_NUMBER = rb"([0-9]{1,10})"


class Account(NamedTuple):
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


class Accounts(NamedTuple):
    """What both files have. Only the lines that are asked about are read: of a hostile image's there may be
    very many."""

    passwd: bytes = b""
    group: bytes = b""

    def user_called(self, name: str) -> Account | None:
        """The first user with that name."""
        return next(self._users(_literally(name), _NUMBER), None)

    def user_with(self, uid: int) -> Account | None:
        """The first user with that id."""
        return next(self._users(_FIELD, b"(0{0,9}%d)" % uid), None)

    def _users(self, name: bytes, uid: bytes) -> Iterator[Account]:
        fields = (b"(" + name + b")", _FIELD, uid, _NUMBER, _FIELD, b"(" + _FIELD + b")", _FIELD)
        for found in _lines(self.passwd, fields):
            ids = int(found[2]), int(found[3])
            if found[1] and max(ids) <= _ID_MAX:
                home = _text(found[4])
                yield Account(_text(found[1]), *ids, home if home.startswith("/") else "/")

    def group_called(self, name: str) -> int | None:
        """The id of the first group with that name."""
        return next((gid for gid, _ in self._groups(_literally(name))), None)

    def groups_of(self, user: str) -> Iterator[int]:
        """The ids of groups that a user is a member of."""
        if not user or "," in user:
            return
        # Not by an expression: among very many members it would take hours.
        wanted = b",%b," % user.encode("utf-8", "surrogateescape")
        for gid, members in self._groups(_FIELD):
            if wanted in b",%b," % members:
                yield gid

    def _groups(self, name: bytes) -> Iterator[tuple[int, bytes]]:
        fields = (b"(" + name + b")", _FIELD, _NUMBER, b"(" + _FIELD + b")")
        for found in _lines(self.group, fields):
            if found[1] and int(found[2]) <= _ID_MAX:
                yield int(found[2]), found[3]


def _lines(content: bytes, fields: tuple[bytes, ...]) -> Iterator[re.Match[bytes]]:
    return re.finditer(rb"^" + rb":".join(fields) + rb"$", content, re.MULTILINE)


def _literally(name: str) -> bytes:
    """As part of an expression; what cannot be a name matches nothing."""
    impossible = not name or any(character in name for character in ":,\n\0")
    return rb"(?!)" if impossible else re.escape(name.encode("utf-8", "surrogateescape"))


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


def _number(text: str) -> int | None:
    """An id, if it is one."""
    plain = text.isascii() and text.isdecimal() and len(text) <= 10
    return int(text) if plain and int(text) <= _ID_MAX else None


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
        return Accounts(_read_plain(etc, "passwd"), _read_plain(etc, "group"))
    finally:
        os.close(etc)


def _find_group(accounts: Accounts, text: str) -> int:
    found = accounts.group_called(text)
    if found is None:
        found = _number(text)
    if found is None:
        raise UsageError(f"the image has no group {text!r}: name one of its /etc/group, or a number")
    return found


def _find_user(accounts: Accounts, text: str) -> Account:
    number = _number(text)
    account = accounts.user_called(text)
    if account is None and number is not None:
        account = accounts.user_with(number) or Account("", number, 0, "/root" if number == 0 else "/")
    if account is None:
        raise UsageError(f"the image has no user {text!r}: name one of its /etc/passwd, or a number")
    return account


def resolve_user(accounts: Accounts, user: str | None, id_count: int) -> Identity:
    """Who `-u USER[:GROUP]` is; names before numbers, as useradd and Docker take them."""
    wanted, colon, group = (user or "0").partition(":")
    if not wanted or (colon and not group):
        raise UsageError(f"{user!r} is no user: write USER or USER:GROUP, by name or number")
    account = _find_user(accounts, wanted)
    gid = account.gid
    groups: tuple[int, ...] = ()
    if group:
        gid = _find_group(accounts, group)
    elif account.name:
        there = (entry for entry in accounts.groups_of(account.name) if entry < id_count)
        groups = tuple(dict.fromkeys(islice(there, _LINES_MAX)))[:_GROUPS_MAX]
    for checked in (account.uid, gid):
        if checked >= id_count:
            raise UsageError(f"id {checked} does not exist in the instance: it has ids 0 to {id_count - 1}")
    return Identity(uid=account.uid, gid=gid, groups=groups, home=account.home)
