"""What the store has acknowledged stays, when its process is killed and when its disk is full."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.store.tables import Tables
from tests.patience import SECONDS

WRITER = [sys.executable, "-m", "tests.functional.store_writer"]


def kill_while_writing(path: Path, lines: int) -> list[int]:
    """Kill a writer once it has printed so many lines; the numbers of the events that it has acknowledged."""
    process = subprocess.Popen([*WRITER, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    return [int(line) for line in said]


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_was_told_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "kwhost.db"
    dice = random.Random(1)  # the moments of the kills vary anyway
    acknowledged: set[int] = set()
    for _ in range(50):
        acknowledged.update(kill_while_writing(path, dice.randint(1, 60)))

        tables = Tables.open(path)
        found = [event.seq for event in tables.events(0, 100_000, None, None).events]
        tables.close()
        assert found == list(range(1, len(found) + 1))
        assert acknowledged.issubset(found)


@pytest.mark.root
def test_a_full_disk_is_an_error_that_passes(tmp_path: Path) -> None:
    script = """
    mount -t tmpfs -o size=512k none "$0" && head -c 128k /dev/zero > "$0/ballast"
    shift && exec "$@"
    """
    writer = [*WRITER, str(tmp_path / "kwhost.db"), str(tmp_path / "ballast")]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, tmp_path, "-", *writer],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )

    *numbers, last, count = [line for line in done.stdout.splitlines() if "error" not in line]
    assert len(re.findall("^error: .* disk is full", done.stdout, re.MULTILINE)) == 1
    assert sorted(int(number) for number in (*numbers, last)) == list(range(1, len(numbers) + 2))
    assert count == f"read: {len(numbers) + 1}"
