"""All of it together."""

from datetime import date
from pathlib import Path

from kwhost.core.hostcheck.security.concern import Concern
from kwhost.core.hostcheck.security.kernel import check_kernel
from kwhost.core.hostcheck.security.kvm import check_kvm_settings
from kwhost.core.hostcheck.security.memory import check_memory
from kwhost.core.hostcheck.security.processor import check_processor

__all__ = ["check_security"]


def check_security(root: Path, *, landlock: int, today: date) -> list[Concern]:
    """Look at a host's settings beneath `root` ("/" is this host). `landlock`: its version, 0 for none."""
    return [
        *check_processor(root),
        *check_memory(root),
        *check_kernel(root, landlock=landlock, today=today),
        *check_kvm_settings(root),
    ]
