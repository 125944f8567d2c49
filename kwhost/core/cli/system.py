"""`kwhost system`: removing what instances left, or everything that kwhost made on this host."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.config.host import load_host_config
from kwhost.core.errors import ApiError, Conflict, UsageError

if TYPE_CHECKING:
    from kwhost.core.daemon.upkeep import Inventory

__all__ = ["main"]

_USAGE = "kwhost system prune | reset [--yes]"
_DESCRIPTION = """Remove what kwhost keeps on this host.

prune  forget instances that have ended and that no configuration has, with their logs; their events stay
reset  end all instances, and remove them, their logs, all events, the audit, images, and volumes with their
       files; configurations stay. While a daemon runs only with --yes, which ends it first"""
_EPILOG = """examples:
  kwhost system prune
  kwhost system reset --yes"""

# A daemon that was told to end stops its instances first.
_DAEMON_SECONDS = 60.0


def _prune() -> None:
    from kwhost.core.api.client import Client, find_socket  # neither is needed for usage errors and --help
    from kwhost.core.daemon.upkeep import prune

    try:
        over = [(each.id, each.tenant, each.name) for each in prune(load_host_config())]
    except Conflict:  # a daemon runs
        answer = Client(find_socket()).request("POST", "/v1/prune")
        over = [(each["id"], each["tenant"], each["name"]) for each in answer]
    show_result("".join(f"{instance}  {tenant}/{name}\n" for instance, tenant, name in over))
    if not over:
        notice("there was nothing to remove")


def _describe(found: "Inventory") -> str:
    lines = [f"ends {len(found.running)} running instances"] if found.running else []
    if found.instances:
        lines.append(f"removes {len(found.instances)} instances with their logs")
    return "\n".join([*lines, *(f"removes {file}" for file in found.files)])


def _ask(found: "Inventory") -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: kwhost system reset --yes does it without asking")
    sys.stderr.write(f"This\n{_describe(found)}\nGo on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(found: "Inventory") -> bool:
    for line in _describe(found).splitlines():
        notice(line)
    return True


def _end_daemon() -> None:
    from kwhost.core.api.client import Client, find_socket

    with suppress(ApiError):  # none runs, or it has ended before it could answer
        Client(find_socket()).request("POST", "/v1/shutdown", {"instances": "stop"})


def _reset(*, yes: bool) -> int:
    from kwhost.core.daemon.upkeep import reset

    if yes:
        _end_daemon()
    if reset(load_host_config(), _tell if yes else _ask, _DAEMON_SECONDS if yes else 0.0, notice):
        return 0
    notice("nothing was removed")
    return 1


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; returns the exit status."""
    parser = CommandParser("system", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=("prune", "reset"), metavar="ACTION")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    if options.action == "reset":
        return _reset(yes=options.yes)
    if options.yes:
        raise UsageError("--yes goes with reset")
    _prune()
    return 0
