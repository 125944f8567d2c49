"""kwhost's fixtures for the tests of plugins, and a log to write."""

from pathlib import Path

import pytest

pytest_plugins = ["kwhost.testing"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "audit.jsonl"
