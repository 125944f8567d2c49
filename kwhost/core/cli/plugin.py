"""`kwhost plugin`: which plugins there are, and the beginning of a new one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.errors import ApiError, HostError, UsageError

__all__ = ["format_plugins", "main"]

_USAGE = "kwhost plugin ls [--json] | new NAME"
_DESCRIPTION = """Extend kwhost.

ls    list the plugins of the daemon; without one, those that it would load
new   write a package with one working hook and its tests to the new folder kwhost-NAME"""
_EPILOG = """examples:
  kwhost plugin ls
  kwhost plugin new audit && cd kwhost-audit && pip install -e '.[test]' && pytest"""


def _load_here() -> list[dict[str, Any]]:
    """The plugins as a daemon would load them now."""
    from dataclasses import asdict

    from kwhost.core.config.host import load_host_config
    from kwhost.core.pluginmgr.discovery import Selection
    from kwhost.core.pluginmgr.loading import load_plugins

    host = load_host_config()
    selection = Selection(load=host.plugins, blocked=frozenset(host.block_plugins))
    registry = load_plugins(selection, lambda _: None)  # what fails is in the list
    return [asdict(plugin.status()) for _, plugin in sorted(registry.plugins.items())]


def _ask_daemon() -> Any:
    from kwhost.core.api.client import Client, find_socket  # brings http: not for --help and `new`

    return Client(find_socket()).request("GET", "/v1/plugins")


def format_plugins(plugins: Sequence[dict[str, Any]]) -> str:
    """The list for people."""
    rows = [("NAME", "VERSION", "STATE", "HOOKS", "MESSAGE")]
    rows += [
        (
            entry["name"],
            entry["version"] or "-",
            entry["state"],
            ",".join(entry["hooks"]) or "-",
            entry["message"],
        )
        for entry in plugins
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _list(*, as_json: bool) -> int:
    try:
        plugins = _ask_daemon()
    except ApiError as error:
        notice(f"{error}; these are the plugins that it would load")
        plugins = _load_here()
    show_result(json.dumps(plugins, indent=2) + "\n" if as_json else format_plugins(plugins))
    return 0


def _new(name: str) -> int:
    from kwhost.core.pluginmgr.skeleton import skeleton_files

    files = skeleton_files(name)
    folder = Path(f"kwhost-{name}")
    try:
        folder.mkdir()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(f"{folder} exists already; choose another name or folder") from error
    except OSError as error:
        raise HostError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    show_result(f"{folder}\n")
    notice(f"next: cd {folder}; pip install -e '.[test]'; pytest; kwhost plugin ls")
    return 0


def main(arguments: Sequence[str]) -> int:
    """List plugins or begin one."""
    parser = CommandParser("plugin", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=["ls", "new"], help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the new plugin")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    options = parser.parse_args(arguments)
    if options.action == "ls":
        if options.name is not None:
            raise UsageError("kwhost plugin ls takes no NAME")
        return _list(as_json=options.json)
    if options.name is None or options.json:
        raise UsageError("write kwhost plugin new NAME")
    return _new(options.name)
