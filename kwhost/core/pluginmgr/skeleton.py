"""The beginning of a plugin: what `kwhost plugin new` writes, a package that works as it is."""

import re
from string import Template

from kwhost.core.errors import UsageError

__all__ = ["skeleton_files"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"

[project]
name = "kwhost-$name"
version = "0.1.0"
description = "A plugin for kwhost"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["kwhost"]

[project.optional-dependencies]
test = ["pytest>=8.4", "pytest-trio>=0.8"]

# This is how kwhost finds the plugin; the name left of the equals sign is the plugin's.
[project.entry-points.kwhost]
$name = "kwhost_$module"

[tool.setuptools.packages.find]
where = ["src"]

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib"]
pythonpath = ["src"]
testpaths = ["tests"]
trio_mode = true
"""

_README = """\
# kwhost-$name

A plugin for kwhost that refuses instances of chosen programs.

```
pip install -e .[test]
pytest
kwhost plugin ls
```

In kwhost's configuration:

```toml
[plugins.$name]
forbidden = ["nc", "socat"]
```
"""

_MODULE = '''\
"""Refuses instances of programs that the configuration forbids, by the last part of their path."""

from dataclasses import dataclass

from kwhost.core.model.definition import InstanceDefinition
from kwhost.hookspecs import hookimpl

__all__ = ["Configuration"]

__version__ = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The section [plugins.$name]."""

    forbidden: tuple[str, ...] = ()


@hookimpl
def configuration_type() -> type[object]:
    """kwhost checks the section against this."""
    return Configuration


@hookimpl
def admit_instance(definition: InstanceDefinition, configuration: Configuration) -> str | None:
    """None, or the reason why the instance may not be."""
    program = definition.command[0].rpartition("/")[2]
    if program in configuration.forbidden:
        return f"the program {program} is forbidden here"
    return None
'''

_CONFTEST = '''\
"""kwhost's fixtures for the tests of plugins."""

pytest_plugins = ["kwhost.testing"]
'''

_TEST = '''\
"""The plugin as kwhost loads and calls it."""

import kwhost_$module
from kwhost.testing import LoadPlugin, make_definition


async def test_forbidden_programs_are_refused(load_plugin: LoadPlugin) -> None:
    plugin = load_plugin(kwhost_$module, "$name", forbidden=["nc"])

    reason = await plugin.admit(make_definition(command=("/usr/bin/nc", "-l", "80")))

    assert reason == "the plugin $name refuses it: the program nc is forbidden here"


async def test_other_programs_are_admitted(load_plugin: LoadPlugin) -> None:
    plugin = load_plugin(kwhost_$module, "$name", forbidden=["nc"])

    assert await plugin.admit(make_definition(command=("ncat",))) is None
'''


def skeleton_files(name: str) -> dict[str, str]:
    """The files by their paths in the package's folder. Raises UsageError for a name that will not do."""
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UsageError(
            f"{name!r} is no name for a plugin: write lower-case letters, digits and '-', a letter first"
        )
    module = name.replace("-", "_")
    files = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"src/kwhost_{module}/__init__.py": _MODULE,
        f"src/kwhost_{module}/py.typed": "",
        "tests/conftest.py": _CONFTEST,
        f"tests/test_{module}.py": _TEST,
    }
    return {path: Template(text).substitute(name=name, module=module) for path, text in files.items()}
