"""config.example.toml shows and explains every key, and is itself a configuration that can be hosted."""

import pwd
import re
from itertools import takewhile
from pathlib import Path

import pytest

from kwhost.core.config.load import load_configuration
from kwhost.core.config.positions import KeyPath, key_lines
from kwhost.core.config.schema import NAME, every_key

# An optional key is a comment without a space after its "#".
OPTIONAL = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)
# Tables whose keys the operator names.
NAMED = {("tenants",), ("tenants", NAME, "instances"), ("policies",), ("plugins",)}


@pytest.fixture
def example(project: Path) -> str:
    return (project / "config.example.toml").read_text()


def described_path(path: KeyPath) -> KeyPath:
    """A key of the file as the schema has it."""
    found: KeyPath = ()
    for part in path:
        found = (*found, NAME if found in NAMED else part)
    return found


def test_it_runs_as_it_is(project: Path) -> None:
    configuration = load_configuration(project / "config.example.toml", {}, 0)

    assert len(configuration.tenants) == 3
    assert {definition.name for definition in configuration.definitions} == {
        "web-1",
        "web-2",
        "worker",
        "job",
        "clock",
    }
    assert {(definition.image, definition.network) for definition in configuration.definitions} == {
        ("host", "none")
    }


def test_every_key_is_shown(example: str) -> None:
    shown = {described_path(path) for path in key_lines(OPTIONAL.sub("", example))}

    missing = {path for path, _ in every_key()} - shown
    assert missing == set()


def test_every_key_is_explained(example: str) -> None:
    """Where it is shown first, by a comment above it, or above the keys right before it."""
    lines = example.splitlines()
    shown: dict[KeyPath, int] = {}
    for path, line in key_lines(OPTIONAL.sub("", example)).items():
        shown.setdefault(described_path(path), line)

    def is_explained(line: int) -> bool:
        before = list(takewhile(bool, reversed(lines[: line - 1])))
        return any(text.startswith("# ") for text in before)

    tables = {("host",), *NAMED}  # by their headlines
    assert {path for path, _ in every_key() if not is_explained(shown[path])} <= tables


def test_the_optional_lines_are_right_too(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.env").write_text("MODE=fast\n")
    (tmp_path / "config.toml").write_text(OPTIONAL.sub("", example))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: pwd.getpwuid(0))

    configuration = load_configuration(tmp_path / "config.toml", {}, 0)

    assert configuration.host.block_plugins == ("prometheus",)
    assert configuration.tenants[0].quota.storage == 10 * 2**30
    assert set(configuration.plugin_sections) == {"prometheus"}
