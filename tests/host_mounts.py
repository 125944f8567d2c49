"""What is mounted on the host, which instances must leave as it was."""

from pathlib import Path

__all__ = ["host_mounts"]

# Where tests that run beside this one may mount things, too; network namespaces with names (ip-netns(8)) are
# mounts as well.
_OF_TESTS = ("/pytest-of-", "/tmp/kwhost-", " - nsfs ")


def host_mounts(own: Path | None = None) -> list[str]:
    """A line for each, of those in directories of tests only where they lie in `own`."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [
        line for line in lines if not any(mark in line for mark in _OF_TESTS) or (own and f" {own}/" in line)
    ]
