"""The `[host]` table, its defaults and its errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.config.host import DEFAULT_UID_BASE, UID_LIMIT, config_file, load_host_config
from kwhost.core.config.problems import ConfigErrors
from kwhost.core.config.schema import read_host_table
from kwhost.core.errors import ConfigError


def write(home: Path, text: str) -> dict[str, str]:
    environment = {"HOME": str(home)}
    path = config_file(environment, 1000)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return environment


def test_roots_defaults_are_the_systems_directories() -> None:
    config = load_host_config({}, 0)

    assert (config.state_dir, config.run_dir) == (Path("/var/lib/kwhost"), Path("/run/kwhost"))
    assert config.uid_base == DEFAULT_UID_BASE


def test_a_users_defaults_follow_xdg() -> None:
    environment = {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "/s"}

    config = load_host_config(environment, 7)

    assert (config.state_dir, config.run_dir) == (Path("/s/kwhost"), Path("/run/user/7/kwhost"))


def test_the_file_overrides_defaults_and_the_environment_the_file(tmp_path: Path) -> None:
    environment = write(tmp_path, '[host]\nstate_dir = "/a"\nrun_dir = "/b"\nuid_base = 655360\n')

    config = load_host_config(environment | {"KWHOST_RUN_DIR": "/c"}, 1000)

    assert (config.state_dir, config.run_dir, config.uid_base) == (Path("/a"), Path("/c"), 655360)


def test_registries_without_encryption_are_those_that_the_file_names(tmp_path: Path) -> None:
    environment = write(tmp_path, '[host]\ninsecure_registries = ["registry.example:5000", "10.0.0.1"]')

    assert load_host_config({}, 0).insecure_registries == ()
    named = load_host_config(environment, 1000).insecure_registries
    assert named == ("registry.example:5000", "10.0.0.1")

    config_file(environment, 1000).write_text('[host]\ninsecure_registries = ["http://10.0.0.1/app"]')
    with pytest.raises(ConfigErrors, match="write HOST or HOST:PORT"):
        load_host_config(environment, 1000)


def test_the_socket_is_in_the_run_directory_unless_it_is_named(tmp_path: Path) -> None:
    environment = write(tmp_path, "")

    assert load_host_config(environment | {"KWHOST_RUN_DIR": "/c"}, 1000).api == Path("/c/api.sock")
    config_file(environment, 1000).write_text('[host]\napi = "/d.sock"')
    assert load_host_config(environment | {"KWHOST_RUN_DIR": "/c"}, 1000).api == Path("/d.sock")


def test_all_problems_are_reported_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    environment = write(tmp_path, '[host]\nstate_dri = "/a"\nrun_dir = "b"\nuid_base = 7\n')

    with pytest.raises(ConfigErrors) as caught:
        load_host_config(environment, 1000)

    name, directory, base = caught.value.lines
    assert name.endswith("config.toml:2: host.state_dri: unknown key; did you mean state_dir?")
    assert directory.endswith("config.toml:3: host.run_dir: must be an absolute path, not 'b'")
    assert base.endswith(":4: host.uid_base: must be a multiple of 65536 from 65536 to 2147418112, not 7")


def test_other_tables_are_not_looked_at(tmp_path: Path) -> None:
    """What is hosted may be wrong; what runs in the foreground runs all the same."""
    environment = write(tmp_path, "[host]\nuid_base = 655360\n[tenants]\nx = 1\n")

    assert load_host_config(environment, 1000).uid_base == 655360


def test_a_home_that_is_no_directory_has_no_configuration() -> None:
    assert load_host_config({"HOME": "/dev/null"}, 1000).uid_base == DEFAULT_UID_BASE


@pytest.mark.parametrize("text", ["[host", "host = 3", "[host]\nuid_base = true", "\xff"])
def test_broken_files_are_one_line(tmp_path: Path, text: str) -> None:
    environment = write(tmp_path, "")
    config_file(environment, 1000).write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigError, match=r"config\.toml"):
        load_host_config(environment, 1000)


@given(st.integers())
def test_any_accepted_base_leaves_room_for_a_range(base: int) -> None:
    try:
        settings = read_host_table(Path("f"), f"[host]\nuid_base = {base}".encode())
    except ConfigErrors:
        return

    assert settings == {"uid_base": base}
    assert base % 65536 == 0
    assert 65536 <= base <= UID_LIMIT - 65536
