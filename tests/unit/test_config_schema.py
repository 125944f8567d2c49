"""The description of the configuration: its defaults are the records' own, its examples are right."""

import tomllib
from pathlib import Path

import pytest

from kwhost.core.config.host import host_config
from kwhost.core.config.host_schema import HOST
from kwhost.core.config.load import load_configuration
from kwhost.core.config.positions import KeyPath
from kwhost.core.config.problems import Place, Problems
from kwhost.core.config.schema import CONFIGURATION, NAME, every_key
from kwhost.core.config.tables import Key, Named, Table
from tests.unit.config_files import INSTANCE

ALL = dict(every_key())


def defaults(*table: str) -> str:
    """The lines that write the defaults of a table out."""
    return "".join(
        f"{key.name} = {key.default}\n" for path, key in ALL.items() if path[:-1] == table and key.default
    )


def read(key: Key, text: str) -> object:
    place = Place(Problems(Path("example"), {}))
    value = key.kind.read(tomllib.loads(f"value = {text}")["value"], place)
    place.problems.raise_any()
    return value


@pytest.mark.parametrize("path", ALL, ids=".".join)
def test_examples_and_defaults_are_right(path: KeyPath) -> None:
    key = ALL[path]

    assert read(key, key.example) is not None
    assert not key.default or read(key, key.default) is not None


@pytest.mark.parametrize("path", ALL, ids=".".join)
def test_meanings_are_one_line(path: KeyPath) -> None:
    meaning = ALL[path].meaning

    assert meaning
    assert "\n" not in meaning
    assert not meaning.endswith(".")


def test_the_defaults_that_are_described_are_those_that_apply(tmp_path: Path) -> None:
    bare = INSTANCE + "healthcheck.tcp = ':1'\n"
    instance = ("tenants", NAME, "instances", NAME)
    full = f"[tenants.t]\n{defaults('tenants', NAME)}{INSTANCE}{defaults(*instance)}"
    full += f"[tenants.t.instances.web.healthcheck]\ntcp = ':1'\n{defaults(*instance, 'healthcheck')}"
    (tmp_path / "bare.toml").write_text(bare)
    (tmp_path / "full.toml").write_text(full)

    loaded = [load_configuration(tmp_path / name, {}, 0) for name in ("bare.toml", "full.toml")]

    assert loaded[0].tenants == loaded[1].tenants
    assert loaded[0].definitions == loaded[1].definitions


def test_the_hosts_defaults_too() -> None:
    settings = {key.name: read(key, key.default) for key in HOST.keys if key.default}

    assert host_config(settings, {}, 0) == host_config({}, {}, 0)


def test_keys_of_later_versions_are_no_keys_of_this_one() -> None:
    tables = [CONFIGURATION, *(key.kind for key in ALL.values())]
    items = [kind.item if isinstance(kind, Named) else kind for kind in tables]

    for table in items:
        if isinstance(table, Table):
            assert {key.name for key in table.keys}.isdisjoint(table.later)
