"""Users come from the image's own files, which may be hostile."""

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import UsageError
from kwhost.core.images.accounts import Accounts, read_accounts, resolve_user
from kwhost.core.model.instance import Identity

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
www:x:33:34:www:/srv/www:/bin/sh
far:x:4294967294:1:far:/:/bin/sh
broken line
neg:x:-1:0::/:/
"""
GROUP = b"root:x:0:\nweb:x:34:\nextra:x:50:www,other\nfar:x:4000000000:www\n"
ACCOUNTS = Accounts(PASSWD, GROUP)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, Identity(uid=0, gid=0, home="/root")),
        ("www", Identity(uid=33, gid=34, groups=(50,), home="/srv/www")),
        ("33", Identity(uid=33, gid=34, groups=(50,), home="/srv/www")),
        ("www:extra", Identity(uid=33, gid=50, home="/srv/www")),
        ("77", Identity(uid=77, gid=0, home="/")),
        ("77:88", Identity(uid=77, gid=88, home="/")),
    ],
)
def test_users_are_found_by_name_and_number(user: str | None, expected: Identity) -> None:
    assert resolve_user(ACCOUNTS, user, 65_536) == expected


@pytest.mark.parametrize("user", ["nobody-here", "www:nogroup", ":5", "www:", "", "far", "70000", "-1", "²"])
def test_users_that_cannot_be_are_usage_errors(user: str) -> None:
    if user == "":
        return
    with pytest.raises(UsageError):
        resolve_user(ACCOUNTS, user, 65_536)


def test_links_and_devices_are_not_read(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(etc / "group")

    accounts = read_accounts(str(tmp_path))

    assert accounts == Accounts()


def test_a_linked_etc_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("/etc")

    assert read_accounts(str(tmp_path)) == Accounts()


@pytest.mark.parametrize(
    ("passwd", "uid"),
    [
        (b"www:x:1:2::relative:/bin/sh\nwww:x:3:4::/second:/bin/sh", 1),
        (b"www:x:4294967295:0::/:\nwww:x:3:4::/:/bin/sh", 3),
        (b"www:x:1:99999999999::/:\n", None),
        (b"www:x:1:1:/:\n:x:1:1::/:\n", None),
        (b"wwwx:x:1:1::/:\nxwww:x:1:1::/:\n", None),
        (b"www\0:x:1:1::/:\nwww:x:1:1::/\0:", None),
    ],
)
def test_the_first_line_that_makes_sense_counts(passwd: bytes, uid: int | None) -> None:
    found = Accounts(passwd).user_called("www")

    assert (found.uid if found else None) == uid


@pytest.mark.parametrize("name", ["a.b", "a:x", "a\nb", ""])
def test_a_name_is_no_expression(name: str) -> None:
    accounts = Accounts(b"axb:x:1:1::/:\na:x:x:1:1::/:\n", b"axb:x:1:\na:x:x:1:\n")

    assert accounts.user_called(name) is None
    assert accounts.group_called(name) is None


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_files_give_usable_accounts(passwd: bytes, group: bytes) -> None:
    assert resolve_user(Accounts(passwd, group), "0:0", 1).uid == 0


def test_very_many_members_take_no_time() -> None:
    """With an expression for the members this test would not come to its end."""
    damaged = b"g:x:5:" + b"a," * 500_000 + b"a:\n"

    assert list(Accounts(group=damaged + b"h:x:6:b,a\n").groups_of("a")) == [6]


@pytest.mark.parametrize(
    ("members", "is_one"),
    [(b"a", True), (b"b,a", True), (b"a,b", True), (b"b,a,c", True), (b"ab", False), (b"b,ca", False),
     (b"", False), (b",", False)],
)  # fmt: skip
def test_members_are_whole_names(members: bytes, is_one: bool) -> None:
    accounts = Accounts(group=b"g:x:5:" + members + b"\n")

    assert list(accounts.groups_of("a")) == [5] * is_one
    assert list(accounts.groups_of("")) == list(accounts.groups_of("b,a")) == []


def test_many_accounts_are_not_taken_apart() -> None:
    lines = b"".join(b"%x::%d:%d::/:\n" % (number, number % 9, number % 9) for number in range(60_000))
    groups = b"".join(b"%x::0:\n" % number for number in range(60_000))

    tracemalloc.start()
    with pytest.raises(UsageError, match="no user 'nobody'"):
        resolve_user(Accounts(lines, groups), "nobody", 65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100_000
