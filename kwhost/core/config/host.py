"""The `[host]` table: directories of kwhost and the ids of its instances."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import ConfigError
from kwhost.core.model.ids import FULL_RANGE

__all__ = ["DEFAULT_UID_BASE", "UID_LIMIT", "HostConfig", "config_file", "load_host_config"]

# From here to 2^31 neither systemd, adduser nor the subordinate id tools give ids to anybody.
DEFAULT_UID_BASE = 0x7000_0000
UID_LIMIT = 0x8000_0000

_PATH_KEYS = ("state_dir", "run_dir")
_KEYS = (*_PATH_KEYS, "uid_base")


class HostConfig(NamedTuple):
    """What applies on this host, for this user."""

    state_dir: Path
    run_dir: Path
    uid_base: int = DEFAULT_UID_BASE


def _defaults(environment: Mapping[str, str], uid: int) -> tuple[Path, Path]:
    if uid == 0:
        return Path("/var/lib/kwhost"), Path("/run/kwhost")
    home = Path(environment.get("HOME") or "/")
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / "kwhost"
    runtime = environment.get("XDG_RUNTIME_DIR")
    return state, Path(runtime) / "kwhost" if runtime else state / "run"


def config_file(environment: Mapping[str, str], uid: int) -> Path:
    """Where a user's configuration is; it need not exist."""
    if uid == 0:
        return Path("/etc/kwhost/config.toml")
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config"
    return Path(base) / "kwhost/config.toml"


def _unknown(path: Path, key: str) -> str:
    near = difflib.get_close_matches(key, _KEYS, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; the keys are {', '.join(_KEYS)}"
    return f"{path}: unknown key host.{key}{hint}"


def _check_table(path: Path, table: Mapping[str, object]) -> list[str]:
    """Everything that is wrong with the table, one line each."""
    problems = [_unknown(path, key) for key in table if key not in _KEYS]
    for key in _PATH_KEYS:
        value = table.get(key, "/")
        if not isinstance(value, str) or not value.startswith("/"):
            problems.append(f"{path}: host.{key} must be an absolute path, not {value!r}")
    base = table.get("uid_base", DEFAULT_UID_BASE)
    if isinstance(base, bool) or not isinstance(base, int):
        problems.append(f"{path}: host.uid_base must be a whole number, not {base!r}")
    elif base % FULL_RANGE or not FULL_RANGE <= base <= UID_LIMIT - FULL_RANGE:
        problems.append(
            f"{path}: host.uid_base must be a multiple of 65536 from 65536 to "
            f"{UID_LIMIT - FULL_RANGE}, not {base}"
        )
    return problems


def _read_table(path: Path) -> dict[str, object]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    import tomllib  # most hosts have no file, and the import costs milliseconds

    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    table = document.get("host", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: host must be a table: write [host]")
    return table


def load_host_config(environment: Mapping[str, str] | None = None, uid: int | None = None) -> HostConfig:
    """Defaults, then the file, then KWHOST_STATE_DIR and KWHOST_RUN_DIR."""
    environment = os.environ if environment is None else environment
    uid = os.geteuid() if uid is None else uid
    path = config_file(environment, uid)
    table = _read_table(path)
    if problems := _check_table(path, table):
        raise ConfigError("; ".join(problems))
    state, run = _defaults(environment, uid)
    paths = {"state_dir": state, "run_dir": run}
    for key in _PATH_KEYS:
        if key in table:
            paths[key] = Path(str(table[key]))
        variable = f"KWHOST_{key.upper()}"
        if override := environment.get(variable):
            if not override.startswith("/"):
                raise ConfigError(f"{variable} must be an absolute path, not {override!r}")
            paths[key] = Path(override)
    base = table.get("uid_base", DEFAULT_UID_BASE)
    assert isinstance(base, int)
    return HostConfig(state_dir=paths["state_dir"], run_dir=paths["run_dir"], uid_base=base)
