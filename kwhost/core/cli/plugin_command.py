"""Commands that plugins add to the command line."""

from collections.abc import Callable, Sequence

from kwhost.core.cli.diagnostics import notice
from kwhost.core.config.host import load_host_config
from kwhost.core.pluginmgr.discovery import Selection
from kwhost.core.pluginmgr.loading import load_plugins
from kwhost.hookspecs import CliCommand

__all__ = ["find_plugin_command"]


def find_plugin_command(name: str) -> Callable[[Sequence[str]], int] | None:
    """The command `name` of an installed or configured plugin; None where no plugin has one."""
    host = load_host_config()
    selection = Selection(load=host.plugins, blocked=frozenset(host.block_plugins))
    failures: list[str] = []
    command = load_plugins(selection, failures.append).offers("cli_commands").get(name)
    if isinstance(command, CliCommand):
        return command.main
    # The command may have been one of theirs.
    for line in failures:
        notice(line)
    return None
