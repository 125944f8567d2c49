"""`kwhost volume`: directories of tenants that outlive instances."""

import sys
from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.cli.times import format_when
from kwhost.core.cli.volume_access import VolumeAccess, open_access
from kwhost.core.errors import KwhostError, UsageError
from kwhost.core.model.units import format_bytes, parse_bytes

__all__ = ["format_volumes", "main"]

_USAGE = "kwhost volume create NAME [--size SIZE] | ls | inspect NAME... | rm NAME... | prune [OPTIONS]"
_DESCRIPTION = """The volumes that kwhost run -v NAME:/PATH and a configuration's `volumes` name. Each is one
tenant's, without --tenant that of `default`. What an instance names and is not there is made, with 1 GiB.

create    make an empty one; root's are bounded: --size is taken from the disk, or kept for it, and whoever
          fills it meets ENOSPC and harms nobody else. An ordinary user's are directories without a bound
ls        list them, with --used also what is used of each
inspect   show all about them, as JSON, with what is used
rm        remove them with their files
prune     remove those that no instance has, with their files; asks first, but with --yes"""
_EPILOG = """examples:
  kwhost volume create data --size 10G
  kwhost run -v data:/var/lib/app --image app:1
  kwhost volume inspect data | jq '.[0].used'"""


def format_volumes(volumes: Sequence[dict[str, Any]], *, used: bool = False) -> str:
    """The list for people; `used`: with what is used of each, where that is known."""
    return format_table(
        ("NAME", "TENANT", "KIND", "SIZE", *(["USED"] if used else []), "CREATED", "INSTANCES"),
        (
            (
                volume["name"],
                volume["tenant"],
                volume["kind"],
                _bytes(volume["size"]),
                *([_bytes(volume["used"])] if used else []),
                format_when(volume["created"]),
                ",".join(volume["instances"]) or "-",
            )
            for volume in volumes
        ),
        output_width(),
    )


def _bytes(amount: int | None) -> str:
    return "-" if amount is None else format_bytes(amount)


def _create(access: VolumeAccess, options: Any) -> int:
    if len(options.names) != 1:
        raise UsageError("write kwhost volume create NAME [--size SIZE]")
    size = None if options.size is None else parse_bytes(options.size)
    show_result(f"{access.create(options.names[0], size)['name']}\n")
    return 0


def _list(access: VolumeAccess, options: Any) -> int:
    if options.names:
        raise UsageError("kwhost volume ls takes no names; kwhost volume inspect NAME shows one")
    volumes = access.all_volumes()
    if options.used:
        volumes = [_with_use(access, volume) for volume in volumes]
    if options.json:
        show_json(volumes)
    else:
        show_result(format_volumes(volumes, used=options.used))
    return 0


def _with_use(access: VolumeAccess, volume: dict[str, Any]) -> dict[str, Any]:
    try:
        return access.inspect(volume["name"])
    except KwhostError as error:  # of this one; the list goes on
        notice(str(error))
        return volume


def _inspect(access: VolumeAccess, options: Any) -> int:
    _some(options)
    show_json([access.inspect(name) for name in options.names])
    return 0


def _remove(access: VolumeAccess, options: Any) -> int:
    _some(options)
    return for_each(options.names, lambda name: show_result(f"{access.remove(name)['name']}\n"))


def _prune(access: VolumeAccess, options: Any) -> int:
    if options.names:
        raise UsageError("kwhost volume prune takes no names; kwhost volume rm NAME removes one")
    unused = [volume["name"] for volume in access.unused()]
    if unused and not (options.yes or _agreed(unused)):
        notice("nothing was removed")
        return 1
    show_result("".join(f"{volume['name']}\n" for volume in access.prune()))
    return 0


def _agreed(names: Sequence[str]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: kwhost volume prune --yes does it without asking")
    sys.stderr.write(f"This removes {', '.join(names)}, with all files.\nGo on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _some(options: Any) -> None:
    if not options.names:
        raise UsageError(f"write kwhost volume {options.action} NAME...; kwhost volume ls lists them")


_ACTIONS = {"create": _create, "ls": _list, "inspect": _inspect, "rm": _remove, "prune": _prune}


def main(arguments: Sequence[str]) -> int:
    """Do it."""
    parser = CommandParser("volume", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=tuple(_ACTIONS), metavar="ACTION", help=", ".join(_ACTIONS))
    parser.add_argument("names", nargs="*", metavar="NAME", help="of volumes")
    parser.add_argument("--size", metavar="SIZE", help="what create makes it hold, such as 10G (1G)")
    parser.add_argument("--tenant", metavar="T", help="whose the volume is (default); needs a daemon")
    parser.add_argument("--used", action="store_true", help="of ls: what is used of each, too")
    parser.add_argument("--yes", action="store_true", help="of prune: do not ask")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.size is not None and options.action != "create":
        raise UsageError("--size is for kwhost volume create alone")
    if options.used and options.action != "ls":
        raise UsageError("--used is for kwhost volume ls alone")
    if options.yes and options.action != "prune":
        raise UsageError("--yes is for kwhost volume prune alone")
    return _ACTIONS[options.action](open_access(options.host, options.tenant), options)
