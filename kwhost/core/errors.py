"""Every error that kwhost reports, and the exit status each one becomes.

    KwhostError            125  one line that says what failed, on what, and what to do
    ├── UsageError         125  the command line asks for something impossible
    ├── NotAvailableYet    125  an option or command of the contract that is not built yet
    ├── ConfigError        125  a configuration file or environment variable is wrong
    ├── HostError          125  this host lacks something
    │   └── KvmError       125  /dev/kvm is missing, closed to the caller or unusable
    ├── ImageError         125  the root file system or something in it cannot be used
    └── LaunchError        125, 126 or 127  the instance did not start; 126 and 127 as in shells

May import: nothing.
"""

__all__ = [
    "EXIT_INTERNAL",
    "EXIT_NOT_EXECUTABLE",
    "EXIT_NOT_FOUND",
    "EXIT_SIGNAL_BASE",
    "EXIT_TIMEOUT",
    "ConfigError",
    "HostError",
    "ImageError",
    "KvmError",
    "KwhostError",
    "LaunchError",
    "NotAvailableYet",
    "UsageError",
]

EXIT_TIMEOUT = 124
EXIT_INTERNAL = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL_BASE = 128


class KwhostError(Exception):
    """The root of the tree; its text is one line for the user."""

    exit_status: int = EXIT_INTERNAL


class UsageError(KwhostError):
    """The command line asks for something impossible."""


class NotAvailableYet(KwhostError):  # noqa: N818 - it states a fact, the name reads as one
    """Part of kwhost's contract that this version does not have yet."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not available yet")


class ConfigError(KwhostError):
    """A configuration file or an environment variable is wrong."""


class HostError(KwhostError):
    """This host lacks something that is needed."""


class KvmError(HostError):
    """The KVM device is missing, not open to the caller or not usable."""


class ImageError(KwhostError):
    """The root file system, or something that must be in it, cannot be used."""


class LaunchError(KwhostError):
    """The instance did not start; the status follows the shells' convention."""

    def __init__(self, text: str, exit_status: int = EXIT_INTERNAL) -> None:
        super().__init__(text)
        allowed = (EXIT_INTERNAL, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND)
        self.exit_status = exit_status if exit_status in allowed else EXIT_INTERNAL
