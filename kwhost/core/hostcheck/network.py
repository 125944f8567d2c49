"""What an ordinary user's instances need for a network; root's daemon makes networks by itself."""

import os
from importlib import import_module

from kwhost.core.hostcheck.report import Finding, Verdict

__all__ = ["check_network"]

# Loaded by its name: the core knows no network tools.
_MODULE = "kwhost.net.pasta"


def check_network() -> list[Finding]:
    """Nothing where root asks."""
    if os.geteuid() == 0:
        return []
    missing: str = import_module(_MODULE).missing_pasta()
    return [
        Finding(
            name="network",
            verdict=Verdict.WEAKER if missing else Verdict.OK,
            seen="an instance's own loopback only" if missing else "by pasta, for each instance its own",
            advice=missing,
        )
    ]
