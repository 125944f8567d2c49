"""`kwhost volume`: directories of tenants that outlive instances."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.cli.times import format_when
from kwhost.core.cli.volume_access import VolumeAccess, open_access
from kwhost.core.errors import UsageError
from kwhost.core.model.units import format_bytes, parse_bytes

__all__ = ["format_volumes", "main"]

_USAGE = "kwhost volume create NAME [--size SIZE] | ls | inspect NAME... | rm NAME... | prune [OPTIONS]"
_DESCRIPTION = """The volumes that kwhost run -v NAME:/PATH and a configuration's `volumes` name. Each is one
tenant's, without --tenant that of `default`. What an instance names and is not there is made, with 1 GiB.

create    make an empty one; root's are bounded: all of --size is taken from the disk at once, and whoever
          fills it meets ENOSPC and harms nobody else. An ordinary user's are directories without a bound
ls        list them
inspect   show all about them, as JSON, with what is used
rm        remove them with their files
prune     remove those that no instance has"""
_EPILOG = """examples:
  kwhost volume create data --size 10G
  kwhost run -v data:/var/lib/app --image app:1
  kwhost volume inspect data | jq '.[0].used'"""


def format_volumes(volumes: Sequence[dict[str, Any]]) -> str:
    """The list for people."""
    return format_table(
        ("NAME", "TENANT", "KIND", "SIZE", "CREATED", "INSTANCES"),
        (
            (
                volume["name"],
                volume["tenant"],
                volume["kind"],
                "-" if volume["size"] is None else format_bytes(volume["size"]),
                format_when(volume["created"]),
                ",".join(volume["instances"]) or "-",
            )
            for volume in volumes
        ),
        output_width(),
    )


def _create(access: VolumeAccess, options: Any) -> None:
    if len(options.names) != 1:
        raise UsageError("write kwhost volume create NAME [--size SIZE]")
    size = None if options.size is None else parse_bytes(options.size)
    show_result(f"{access.create(options.names[0], size)['name']}\n")


def _list(access: VolumeAccess, options: Any) -> None:
    if options.names:
        raise UsageError("kwhost volume ls takes no names; kwhost volume inspect NAME shows one")
    volumes = access.all_volumes()
    if options.json:
        show_json(volumes)
    else:
        show_result(format_volumes(volumes))


def _inspect(access: VolumeAccess, options: Any) -> None:
    _some(options)
    show_json([access.inspect(name) for name in options.names])


def _remove(access: VolumeAccess, options: Any) -> None:
    _some(options)
    for name in options.names:
        show_result(f"{access.remove(name)['name']}\n")


def _prune(access: VolumeAccess, options: Any) -> None:
    if options.names:
        raise UsageError("kwhost volume prune takes no names; kwhost volume rm NAME removes one")
    show_result("".join(f"{volume['name']}\n" for volume in access.prune()))


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
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.size is not None and options.action != "create":
        raise UsageError("--size is for kwhost volume create alone")
    _ACTIONS[options.action](open_access(options.host, options.tenant), options)
    return 0
