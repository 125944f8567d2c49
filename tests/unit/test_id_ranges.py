"""No two instances share ids, and none gets ids that belong to somebody else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.engines import id_ranges
from kwhost.core.engines.id_ranges import lease_ids, user_ids
from kwhost.core.errors import HostError
from kwhost.core.model.ids import UID_LIMIT, IdRange

SIZE = 65_536
# There are two ranges from here on, and the search begins at any.
BASE = UID_LIMIT - 2 * SIZE


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def lease(tmp_path: Path, subordinate: str = "", base: int = BASE) -> id_ranges.IdLease:
    file = tmp_path / "subuid"
    file.write_text(subordinate)
    return lease_ids(base, lock_file=tmp_path / "run" / "ids.lock", subordinate_files=(file, file))


def test_two_leases_differ_and_a_closed_one_is_given_again(tmp_path: Path) -> None:
    first, second = lease(tmp_path), lease(tmp_path)
    assert {first.ids.uid_base, second.ids.uid_base} == {BASE, BASE + SIZE}

    first.close()
    third = lease(tmp_path)

    assert third.ids == first.ids
    second.close()
    third.close()


def test_a_lease_lives_as_long_as_a_process_that_inherited_it(tmp_path: Path) -> None:
    first = lease(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(first.fd,)
    )
    first.close()

    second = lease(tmp_path)
    assert second.ids != first.ids

    holder.communicate()
    third = lease(tmp_path)
    assert third.ids == first.ids
    second.close()
    third.close()


def test_subordinate_ids_of_users_are_passed_over(tmp_path: Path) -> None:
    taken = lease(tmp_path, f"alice:{BASE + SIZE + 1000}:1\nnonsense\n")

    assert taken.ids.uid_base == BASE
    taken.close()


def test_configurations_with_different_bases_agree_on_slots(tmp_path: Path) -> None:
    first = lease(tmp_path, base=BASE + SIZE)
    second = lease(tmp_path)

    assert second.ids.uid_base == BASE
    for taken in (first, second):
        taken.close()


def test_nothing_free_is_an_error_that_says_so(tmp_path: Path) -> None:
    first, second = lease(tmp_path), lease(tmp_path)

    with pytest.raises(HostError, match="uid_base"):
        lease(tmp_path)

    for taken in (first, second):
        taken.close()


def test_the_lock_file_is_nobody_elses(tmp_path: Path) -> None:
    lease(tmp_path).close()

    assert os.stat(tmp_path / "run" / "ids.lock").st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("subuid", "subgid", "expected"),
    [
        ("", "", IdRange(uid_base=1000, gid_base=100, size=1)),
        ("al:200000:65536\n", "", IdRange(uid_base=1000, gid_base=100, size=1)),
        ("al:200000:65536\n", "al:300000:65536\n", IdRange(uid_base=200_000, gid_base=300_000, size=65_536)),
        ("1000:5000:10\nbo:1:9\n", "al:6000:20\n", IdRange(uid_base=5000, gid_base=6000, size=11)),
    ],
)
def test_users_get_their_own_id_and_their_subordinate_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subuid: str, subgid: str, expected: IdRange
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    files = tmp_path / "subuid", tmp_path / "subgid"
    files[0].write_text(subuid)
    files[1].write_text(subgid)

    assert user_ids(1000, 100, "al", subordinate_files=files) == expected


def in_container(monkeypatch: pytest.MonkeyPatch, *ranges: range) -> None:
    monkeypatch.setattr(id_ranges, "_mapped_ranges", lambda: list(ranges))


def test_where_there_are_too_few_ids_each_instance_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_container(monkeypatch, range(SIZE))

    first, second = lease(tmp_path), lease(tmp_path)

    assert (first.ids.size, second.ids.size) == (1, 1)
    assert first.ids.uid_base != second.ids.uid_base
    assert min(first.ids.uid_base, second.ids.uid_base) >= SIZE - 4096
    assert max(first.ids.uid_base, second.ids.uid_base) < SIZE - 2  # which is nobody
    first.close()
    second.close()


def test_a_range_lies_where_there_are_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_container(monkeypatch, range(BASE + SIZE))

    first, second = lease(tmp_path), None
    with pytest.raises(HostError, match="no range of 65536 ids is free"):
        second = lease(tmp_path)

    assert (first.ids, second) == (IdRange(uid_base=BASE, gid_base=BASE, size=SIZE), None)
    first.close()
