"""Every error that kwhost reports, and the exit status each one becomes.

    KwhostError            125  one line that says what failed, on what, and what to do
    ├── UsageError         125  the command line asks for something impossible
    ├── NotAvailableYet    125  an option or command of the contract that is not built yet
    ├── ConfigError        125  a configuration file or environment variable is wrong
    ├── HostError          125  this host lacks something
    │   ├── KvmError       125  /dev/kvm is missing, closed to the caller or unusable
    │   ├── NetworkError   125  a network of this host cannot be made, changed or used
    │   └── LimitError     125  a limit cannot be held, or the control group behind it not be used
    ├── ImageError         125  the root file system or something in it cannot be used
    ├── StoreError         125  the database of instances and events, or a log, cannot be used
    ├── NotFound           125  there is no such instance, tenant or file
    ├── Ambiguous          125  a name or the beginning of an id means several instances
    ├── Conflict           125  the instance's state, or a name that is taken, does not allow it
    ├── QuotaExceeded      125  the tenant may not have that much, or its isolation forbids it
    ├── PermissionDenied   125  the caller may not do that
    ├── ApiError           125  the daemon cannot be reached, or its answer makes no sense
    └── LaunchError        125, 126 or 127  the instance did not start; 126 and 127 as in shells

May import: nothing.
"""

__all__ = [
    "EXIT_INTERNAL",
    "EXIT_NOT_EXECUTABLE",
    "EXIT_NOT_FOUND",
    "EXIT_SIGNAL_BASE",
    "EXIT_TIMEOUT",
    "Ambiguous",
    "ApiError",
    "ConfigError",
    "Conflict",
    "HostError",
    "ImageError",
    "KvmError",
    "KwhostError",
    "LaunchError",
    "LimitError",
    "NetworkError",
    "NotAvailableYet",
    "NotFound",
    "PermissionDenied",
    "QuotaExceeded",
    "StoreError",
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


class LimitError(HostError):
    """A limit cannot be held, or the control group that holds it cannot be made, changed or removed."""


class NetworkError(HostError):
    """A link, address, rule or limit of a network cannot be made, changed or removed."""


class ImageError(KwhostError):
    """The root file system, or something that must be in it, cannot be used."""


class StoreError(KwhostError):
    """The database of instances and events, or a log file, cannot be used."""


class NotFound(KwhostError):  # noqa: N818 - these five state facts, their names read as such
    """There is no such instance, tenant or file; also where the caller may not know of it."""


class Ambiguous(KwhostError):  # noqa: N818
    """A name or the beginning of an id means several instances."""


class Conflict(KwhostError):  # noqa: N818
    """The instance's state does not allow what was asked, or a name is taken."""


class QuotaExceeded(KwhostError):  # noqa: N818
    """The tenant may not have that much, or its least isolation forbids what was asked."""


class PermissionDenied(KwhostError):  # noqa: N818
    """The caller may not do that."""


class ApiError(KwhostError):
    """The daemon cannot be reached, or its answer makes no sense."""


class LaunchError(KwhostError):
    """The instance did not start; the status follows the shells' convention."""

    def __init__(self, text: str, exit_status: int = EXIT_INTERNAL) -> None:
        super().__init__(text)
        allowed = (EXIT_INTERNAL, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND)
        self.exit_status = exit_status if exit_status in allowed else EXIT_INTERNAL
