"""`kwhost tui`: the terminal interface."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kwhost.core.cli.connection import daemon_answers
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.errors import UsageError

__all__ = ["main"]

_USAGE = (
    "kwhost tui [--config CONFIG.toml] [--host [NAME=]PATH]... [--read-only]\n"
    "                  [--web | --web-control] [--web-port N]"
)
_DESCRIPTION = """Watch and steer everything that a daemon hosts, live. ? shows the keys, : finds commands and
instances. ~/.config/kwhost/tui-keys.toml may give keys of one's own."""
_EPILOG = """examples:
  kwhost tui
  kwhost tui --config config.toml
  kwhost tui --read-only --host /run/kwhost/api.sock
  kwhost tui --web"""


def _find_daemon(config: str | None, host: str | None) -> Path:
    """Where a daemon listens; with a configuration it is started where none runs yet."""
    if config is None:
        from kwhost.core.api.client import find_socket

        return find_socket(host)
    from kwhost.core.cli.up import chosen_configuration

    configuration = chosen_configuration(config, host)
    if not daemon_answers(configuration.host.api):
        from kwhost.core.cli.daemon_process import start_daemon

        start_daemon(configuration)
    return configuration.host.api


def _find_daemons(config: str | None, hosts: Sequence[str]) -> dict[str, Path]:
    """Those of --host; or else the one that commands talk to, and those of the user's file."""
    contexts = import_module("kwhost.tui.contexts")
    if hosts:
        sockets: dict[str, Path] = contexts.read_hosts(hosts)
        if config is not None and len(sockets) > 1:
            raise UsageError("--config starts one daemon; name one --host, or none")
        if config is not None:
            name, path = next(iter(sockets.items()))
            sockets[name] = _find_daemon(config, str(path))
        return sockets
    here = _find_daemon(config, None)
    named: dict[str, Path] = contexts.load_hosts(contexts.hosts_file(os.environ))
    first = next((name for name, path in named.items() if path == here), str(here))
    return {first: here, **named}


def _port(text: str | None) -> int:
    """0: any that is free."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65_535):
        raise UsageError(f"--web-port must be a number from 1 to 65535, not {text!r}")
    return int(text)


def main(arguments: Sequence[str]) -> int:
    """Until the operator leaves; what runs goes on."""
    parser = CommandParser("tui", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--config", metavar="CONFIG", help="start a daemon that hosts it where none runs")
    parser.add_argument("--read-only", action="store_true", help="no key changes anything")
    text = "serve it to a browser on this machine, read-only, at an address that works once"
    parser.add_argument("--web", action="store_true", help=text)
    parser.add_argument("--web-control", action="store_true", help="the same, and keys may change things")
    parser.add_argument("--web-port", metavar="N", help="on this port of 127.0.0.1; otherwise on any")
    text = "a daemon's socket (or KWHOST_HOST); several with names of their own: key h"
    parser.add_argument("--host", action="append", default=[], metavar="[NAME=]PATH", help=text)
    options = parser.parse_args(arguments)
    if options.config == "":
        raise UsageError("--config is empty; name a file, or leave it out")
    web = options.web or options.web_control
    if options.web_port is not None and not web:
        raise UsageError("--web-port is for --web and --web-control")
    # Textual draws on the standard error output.
    if not web and not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("kwhost tui needs a terminal; kwhost ps and kwhost events are for pipes")
    # By name: the core does not know the interface, and no other command loads Textual.
    keys = import_module("kwhost.tui.keys")
    keymap = keys.load_keymap(keys.keys_file(os.environ))
    sockets = _find_daemons(options.config, options.host)
    if web:
        import_module("kwhost.tui.web").serve(
            sockets,
            port=_port(options.web_port),
            control=options.web_control and not options.read_only,
            keymap=keymap,
            say=lambda address: show_result(f"{address}\n"),
        )
        return 0
    app = import_module("kwhost.tui.app")
    gc.freeze()
    gc.enable()  # it goes on for days
    app.run(sockets, read_only=options.read_only, keymap=keymap)
    return 0
