"""Formats the C sources, or with --check reports those that are not formatted."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORMATTER = Path(sys.executable).with_name("clang-format")


def sources() -> list[str]:
    """Every C file that is ours: the monitor, the forwarder, and programs of tests and benchmarks."""
    found = [
        path
        for folder in ("kwhost/monitor", "kwhost/net/forward", "tests", "benchmarks")
        for suffix in ("*.c", "*.h")
        for path in (ROOT / folder).rglob(suffix)
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def main() -> int:
    style = f"--style=file:{ROOT / 'kwhost/monitor/.clang-format'}"
    mode = ["--dry-run", "--Werror"] if "--check" in sys.argv[1:] else ["-i"]
    return subprocess.run([FORMATTER, style, *mode, *sources()], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
