"""The `[host]` table of this user's configuration, and what applies where it says nothing.

`kwhost run` loads this at each start; what reads TOML is loaded only where there is a file.
"""

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kwhost.core.errors import ConfigError
from kwhost.core.model.ids import DEFAULT_UID_BASE, UID_LIMIT
from kwhost.core.model.instance import LogLimits
from kwhost.core.model.roots import RootStorage
from kwhost.core.model.volume import AUTO_STORAGE

if TYPE_CHECKING:  # it brings ipaddress
    from kwhost.core.model.network import Prefix

__all__ = [
    "DEFAULT_UID_BASE",
    "UID_LIMIT",
    "HostConfig",
    "LogLevel",
    "config_file",
    "host_config",
    "load_host_config",
    "read_file",
]


class LogLevel(Enum):
    """How much the daemon says of itself."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


_DEFAULT_LOG = LogLimits()


class HostConfig(NamedTuple):
    """What applies on this host, for this user; `api` is the daemon's socket, `log` bounds each
    instance's log; without a `subnet_pool` the built-in one counts where a network is asked for."""

    state_dir: Path
    run_dir: Path
    api: Path
    plugins: tuple[str, ...] = ()
    block_plugins: tuple[str, ...] = ()
    require_plugins: tuple[str, ...] = ()
    volume_storage: str = AUTO_STORAGE
    root_storage: RootStorage = RootStorage.AUTO
    insecure_registries: tuple[str, ...] = ()
    uid_base: int = DEFAULT_UID_BASE
    subnet_pool: "tuple[Prefix, ...]" = ()
    allow_host_network: bool = False
    log_level: LogLevel = LogLevel.INFO
    log: LogLimits = _DEFAULT_LOG


def config_file(environment: Mapping[str, str], uid: int) -> Path:
    """Where a user's configuration is; it need not exist."""
    if uid == 0:
        return Path("/etc/kwhost/config.toml")
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config"
    return Path(base) / "kwhost/config.toml"


def read_file(path: Path) -> bytes | None:
    """A configuration file's content; None where there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _default_directories(environment: Mapping[str, str], uid: int) -> dict[str, Path]:
    if uid == 0:
        return {"state_dir": Path("/var/lib/kwhost"), "run_dir": Path("/run/kwhost")}
    home = Path(environment.get("HOME") or "/")
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / "kwhost"
    runtime = environment.get("XDG_RUNTIME_DIR")
    return {"state_dir": state, "run_dir": Path(runtime) / "kwhost" if runtime else state / "run"}


def host_config(
    settings: Mapping[str, Any],  # as the schema's kinds made them
    environment: Mapping[str, str],
    uid: int,
) -> HostConfig:
    """Defaults, then the `[host]` table's settings, then KWHOST_STATE_DIR and KWHOST_RUN_DIR."""
    directories = _default_directories(environment, uid)
    for key in directories:
        if key in settings:
            directories[key] = Path(settings[key])
        variable = f"KWHOST_{key.upper()}"
        if override := environment.get(variable):
            if not override.startswith("/"):
                raise ConfigError(f"{variable} must be an absolute path, not {override!r}")
            directories[key] = Path(override)
    return HostConfig(
        **directories,
        api=Path(settings.get("api", directories["run_dir"] / "api.sock")),
        plugins=settings.get("plugins", ()),
        block_plugins=settings.get("block_plugins", ()),
        require_plugins=settings.get("require_plugins", ()),
        volume_storage=settings.get("volume_storage", AUTO_STORAGE),
        root_storage=settings.get("root_storage", RootStorage.AUTO),
        insecure_registries=settings.get("insecure_registries", ()),
        uid_base=settings.get("uid_base", DEFAULT_UID_BASE),
        subnet_pool=settings.get("subnet_pool", ()),
        allow_host_network=settings.get("allow_host_network", False),
        log_level=settings.get("log_level", LogLevel.INFO),
        log=LogLimits(
            size=settings.get("log_size", _DEFAULT_LOG.size),
            files=settings.get("log_files", _DEFAULT_LOG.files),
        ),
    )


def load_host_config(environment: Mapping[str, str] | None = None, uid: int | None = None) -> HostConfig:
    """This user's own configuration, of which only `[host]` counts. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    uid = os.geteuid() if uid is None else uid
    path = config_file(environment, uid)
    data = read_file(path)
    if data is None:
        return host_config({}, environment, uid)
    from kwhost.core.config.schema import read_host_table  # most hosts have no file

    return host_config(read_host_table(path, data), environment, uid)
