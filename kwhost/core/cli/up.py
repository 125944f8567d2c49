"""`kwhost up`: hosting what a configuration names."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.config.configuration import Configuration
from kwhost.core.errors import UsageError

__all__ = ["chosen_configuration", "main"]

_USAGE = "kwhost up [CONFIG.toml] [-d] [--host PATH]"
_DESCRIPTION = """Host every instance that CONFIG names, and those that kwhost run adds; without CONFIG, what
your own configuration file names. All mistakes in a file are told at once, and nothing is started then.
Instances that an earlier daemon left running are taken over as they are.

In the foreground ^C stops all instances and forgets those of CONFIG. SIGTERM ends the daemon alone, and
instances go on. SIGHUP applies a changed configuration."""
_EPILOG = """examples:
  kwhost up config.toml
  kwhost up -d config.toml && kwhost ps && kwhost down"""


def chosen_configuration(file: str | None, host: str | None) -> Configuration:
    """What to host. `host` or KWHOST_HOST say where to listen. Raises ConfigErrors."""
    from kwhost.core.policy.configured import load_default_hosting, load_hosting  # brings tomllib

    configuration = load_hosting(Path(file)) if file else load_default_hosting()
    if api := host or os.environ.get("KWHOST_HOST"):
        place = configuration.host._replace(api=Path(os.path.abspath(api)))
        return replace(configuration, host=place)
    return configuration


def _tell_start(configuration: Configuration) -> None:
    info = connect(str(configuration.host.api)).request("GET", "/v1/info")
    show_result(
        f"process {info['pid']} hosts {len(configuration.definitions)} configured instances on "
        f"{configuration.host.api}; it tells of them in {configuration.host.state_dir}/daemon.log\n"
    )
    for line in info["lacking"]:
        notice(f"on this host {line}")


def main(arguments: Sequence[str]) -> int:
    """Be the daemon, or start one."""
    parser = CommandParser("up", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="the configuration file")
    parser.add_argument("-d", "--detach", action="store_true", help="start it in the background")
    add_host_option(parser)
    options = parser.parse_args(arguments)
    if options.config == "":
        raise UsageError("CONFIG is empty; name a file, or leave it out")
    configuration = chosen_configuration(options.config, options.host)
    from kwhost.core.cli.daemon_process import check_no_daemon, host_here, start_daemon

    check_no_daemon(configuration.host.api)
    if options.detach:
        start_daemon(configuration)
        _tell_start(configuration)
        return 0
    api = configuration.host.api
    host_here(configuration, lambda: notice(f"hosting; the API is on {api}; ^C stops all instances"))
    return 0
