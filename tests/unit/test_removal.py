"""Removing what somebody hostile filled: all of it, nothing else, and in little memory."""

import os
import tracemalloc
from pathlib import Path

from kwhost.core.images.removal import empty_directory, remove_tree

DEEP = 2000  # longer than any path may be
MANY = 20_000


def make_deep(directory: Path, depth: int) -> None:
    opened = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=opened)
        os.close(os.open("f", os.O_CREAT, dir_fd=opened))
        below = os.open("deeper", os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = below
    os.close(opened)


def test_directories_deeper_than_any_path_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    make_deep(tmp_path / "tree", DEEP)

    remove_tree(tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []


def test_what_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/f").touch()
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/link").symlink_to(tmp_path / "kept")
    (tmp_path / "alone").symlink_to(tmp_path / "kept")

    for name in ("tree", "alone", "nothing"):
        remove_tree(tmp_path / name)

    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["kept", "kept/f"]


def test_directories_without_any_permission_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/f").touch()
    (tmp_path / "tree/below").chmod(0)
    (tmp_path / "tree").chmod(0)

    remove_tree(tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []


def test_an_emptied_directory_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "volume/below").mkdir(parents=True)
    (tmp_path / "volume/f").touch()
    (tmp_path / "volume").chmod(0o755)

    empty_directory(tmp_path / "volume")

    assert list((tmp_path / "volume").iterdir()) == []
    assert (tmp_path / "volume").stat().st_mode & 0o777 == 0o755


def test_very_many_names_in_one_directory_take_no_memory(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(MANY):
        (tree / str(number)).touch()
        if number % 20 == 0:
            (tree / f"{number}.d").mkdir()

    tracemalloc.start()
    try:
        remove_tree(tree)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert not tree.exists()
    assert most < 10 * MANY  # bytes
