"""Fixtures of the terminal interface's tests."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket's path stands on the screen, and so do times."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """`snapshot(NAME, SVG)` compares with the picture that is kept; KWHOST_UPDATE_SNAPSHOTS=1 keeps new
    ones."""

    def compare(name: str, svg: str) -> None:
        path = SNAPSHOTS / f"{name}.svg"
        if os.environ.get("KWHOST_UPDATE_SNAPSHOTS") == "1":
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            seen = Path(os.environ.get("KWHOST_SEEN", "/tmp")) / f"{name}-seen.svg"
            seen.write_text(svg)
            pytest.fail(f"the screen is not as in {path}: {seen}")

    return compare
