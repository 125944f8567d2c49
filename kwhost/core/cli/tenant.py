"""`kwhost tenant`: owners of instances, their quotas and what they use of them."""

from collections.abc import Sequence
from typing import Any

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.errors import UsageError
from kwhost.core.model.units import format_bytes

__all__ = ["format_tenants", "main"]

_USAGE = "kwhost tenant ls | show NAME [--json] [--host PATH]"
_DESCRIPTION = """List the tenants that you may see, each with its quotas and how much of them its instances
were promised.

ls    all of them
show  one"""
_EPILOG = """examples:
  kwhost tenant ls
  kwhost tenant show acme --json"""

_QUOTAS = {"cpus": "CPUS", "memory": "MEMORY", "storage": "STORAGE", "pids": "PIDS"}


def _amount(quota: str, value: float) -> str:
    return format_bytes(int(value)) if quota in ("memory", "storage") else f"{value:g}"


def _use(tenant: dict[str, Any], quota: str) -> str:
    used, allowed = tenant["used"].get(quota, 0), tenant["quota"].get(quota)
    return _amount(quota, used) + ("" if allowed is None else f" of {_amount(quota, allowed)}")


def format_tenants(tenants: Sequence[dict[str, Any]]) -> str:
    """The list for people."""
    return format_table(
        ("NAME", "ISOLATION", "RUNNING", "INSTANCES", *_QUOTAS.values(), "USERS"),
        (
            (
                tenant["name"],
                tenant["isolation"],
                str(tenant["running"]),
                _use(tenant, "max_instances"),
                *(_use(tenant, quota) for quota in _QUOTAS),
                ",".join(tenant["users"]) or "-",
            )
            for tenant in tenants
        ),
        output_width(),
    )


def main(arguments: Sequence[str]) -> int:
    """List them, or show one."""
    parser = CommandParser("tenant", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=("ls", "show"), metavar="ACTION", help="ls or show")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the tenant to show")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    if (options.action == "show") != (options.name is not None):
        raise UsageError("write kwhost tenant ls, or kwhost tenant show NAME")
    client = connect(options.host)
    if options.name is None:
        found = client.request("GET", "/v1/tenants")
    else:
        from urllib.parse import quote

        found = client.request("GET", f"/v1/tenants/{quote(options.name, safe='')}")
    if options.json:
        show_json(found)
    else:
        show_result(format_tenants([found] if options.name is not None else found))
    return 0
