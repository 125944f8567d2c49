"""Pages of docs that are made by a tool, which with --check tells whether its page is up to date."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_or_check(page: Path, text: str) -> int:
    """The exit status of the tool that runs."""
    if "--check" not in sys.argv[1:]:
        page.write_text(text)
        return 0
    if not page.exists() or page.read_text() != text:
        tool = Path(sys.argv[0]).name
        print(f"{page.relative_to(ROOT)} is out of date: run tools/{tool}", file=sys.stderr)
        return 1
    return 0
