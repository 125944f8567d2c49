"""`kwhost tui`: the terminal interface."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kwhost.core.cli.connection import add_host_option, daemon_answers
from kwhost.core.cli.options import CommandParser
from kwhost.core.errors import UsageError

__all__ = ["main"]

_USAGE = "kwhost tui [--config CONFIG.toml] [--host PATH] [--read-only]"
_DESCRIPTION = """Watch and steer everything that a daemon hosts, live. ? shows the keys, : finds commands and
instances. ~/.config/kwhost/tui-keys.toml may give keys of one's own."""
_EPILOG = """examples:
  kwhost tui
  kwhost tui --config config.toml
  kwhost tui --read-only --host /run/kwhost/api.sock"""


def _find_daemon(config: str | None, host: str | None) -> Path:
    """Where the daemon listens; with a configuration it is started where none runs yet."""
    if config is None:
        from kwhost.core.api.client import find_socket

        return find_socket(host)
    from kwhost.core.cli.up import chosen_configuration

    configuration = chosen_configuration(config, host)
    if not daemon_answers(configuration.host.api):
        from kwhost.core.cli.daemon_process import start_daemon

        start_daemon(configuration)
    return configuration.host.api


def main(arguments: Sequence[str]) -> int:
    """Until the operator leaves; what runs goes on."""
    parser = CommandParser("tui", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--config", metavar="CONFIG", help="start a daemon that hosts it where none runs")
    parser.add_argument("--read-only", action="store_true", help="no key changes anything")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    if options.config == "":
        raise UsageError("--config is empty; name a file, or leave it out")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("kwhost tui needs a terminal; kwhost ps and kwhost events are for pipes")
    socket = _find_daemon(options.config, options.host)
    # By name: the core does not know the interface, and no other command loads Textual.
    keys, app = import_module("kwhost.tui.keys"), import_module("kwhost.tui.app")
    keymap = keys.load_keymap(keys.keys_file(os.environ))
    gc.freeze()
    gc.enable()  # it goes on for days
    app.run(socket, read_only=options.read_only, keymap=keymap)
    return 0
