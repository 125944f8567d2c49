"""Configuration files for tests, and what is said against them."""

from pathlib import Path

import pytest

from kwhost.core.config.load import load_configuration
from kwhost.core.config.problems import ConfigErrors

INSTANCE = "[tenants.t.instances.web]\ncommand = ['true']\n"


def mistakes(folder: Path, text: str) -> list[str]:
    """What is said against a file, without its name."""
    path = folder / "kwhost.toml"
    path.write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load_configuration(path, {}, 0)
    assert str(caught.value) == "\n".join(caught.value.lines)
    assert all(line.startswith(f"{path}:") and "\n" not in line for line in caught.value.lines)
    return [line.removeprefix(f"{path}:") for line in caught.value.lines]
