"""Which Linux kernels kwhost works on."""

import os
import re

from kwhost.core.errors import HostError

__all__ = ["OLDEST_KERNEL", "check_kernel", "kernel_version"]

OLDEST_KERNEL = (6, 1)


def kernel_version(release: str) -> tuple[int, int]:
    """Major and minor version of a release such as 6.1.0-28-amd64; (0, 0) for another pattern."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check_kernel(release: str | None = None) -> None:
    """Raise HostError on a kernel that is too old."""
    release = os.uname().release if release is None else release
    if kernel_version(release) < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        raise HostError(f"Linux {release} is too old: kwhost needs Linux {oldest} or newer")
