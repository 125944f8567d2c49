"""Which daemons there are to look at, each by a name."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from kwhost.core.errors import ConfigError, UsageError

__all__ = ["hosts_file", "load_hosts", "read_hosts"]

_NAME_MAX = 32


def hosts_file(environment: Mapping[str, str]) -> Path:
    """Where one's own hosts are: `tui-hosts.toml` beside the user's configuration."""
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config"
    return Path(os.fspath(home)) / "kwhost" / "tui-hosts.toml"


def load_hosts(path: Path) -> dict[str, Path]:
    """The sockets of the table [hosts] by name, such as `build = "/run/build/api.sock"`; none without a file.

    Raises ConfigError for what is none.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    hosts = content.pop("hosts", {})
    if content or not isinstance(hosts, dict):
        raise ConfigError(f"{path}: there is one table, [hosts], and nothing else")
    for name, socket in hosts.items():
        if not _is_name(name):
            raise ConfigError(f"{path}: {name!r} is no name: at most {_NAME_MAX} letters, digits, . _ and -")
        if not isinstance(socket, str) or not socket.startswith("/"):
            raise ConfigError(f'{path}: {name}: write an absolute path such as "/run/kwhost/api.sock"')
    return {name: Path(socket) for name, socket in hosts.items()}


def read_hosts(texts: Sequence[str]) -> dict[str, Path]:
    """The sockets of NAME=PATH, or of PATH, whose name is the path. Raises UsageError."""
    hosts: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (equals and _is_name(name)):
            name = path = text
        if not path or name in hosts:
            raise UsageError(f"--host {text}: write PATH or NAME=PATH, each once")
        hosts[name] = Path(path)
    return hosts


def _is_name(text: str) -> bool:
    plain = text.replace(".", "").replace("_", "").replace("-", "")
    return text.isascii() and plain.isalnum() and len(text) <= _NAME_MAX
