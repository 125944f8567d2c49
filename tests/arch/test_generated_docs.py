"""Pages that are made from tables in the code say what these say."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "tool", ["syscall_docs.py", "config_docs.py", "api_docs.py", "jail_docs.py", "tui_docs.py"]
)
def test_the_page_is_up_to_date(project: Path, tool: str) -> None:
    checked = subprocess.run(
        [sys.executable, f"tools/{tool}", "--check"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stderr == ""
