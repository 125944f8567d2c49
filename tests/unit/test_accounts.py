"""Users come from the image's own files, which may be hostile."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import UsageError
from kwhost.core.images.accounts import parse_accounts, read_accounts, resolve_user
from kwhost.core.model.instance import Identity

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
www:x:33:34:www:/srv/www:/bin/sh
far:x:4294967294:1:far:/:/bin/sh
broken line
neg:x:-1:0::/:/
"""
GROUP = b"root:x:0:\nweb:x:34:\nextra:x:50:www,other\nfar:x:4000000000:www\n"
ACCOUNTS = parse_accounts(PASSWD, GROUP)


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

    assert accounts.users == ()
    assert accounts.groups == ()


def test_a_linked_etc_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("/etc")

    assert read_accounts(str(tmp_path)).users == ()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_files_give_usable_accounts(passwd: bytes, group: bytes) -> None:
    accounts = parse_accounts(passwd, group)

    for account in accounts.users:
        assert 0 <= account.uid < 2**32
        assert account.home.startswith("/")
    assert resolve_user(accounts, "0:0", 1).uid == 0
