"""Where plugins come from: built in, installed with an entry point of the group `kwhost`, named in the
configuration."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from kwhost import __version__
from kwhost.core.pluginmgr.builtin import BUILT_IN

__all__ = ["GROUP", "Candidate", "Selection", "find_candidates"]

GROUP = "kwhost"


class Selection(NamedTuple):
    """Which plugins are wanted besides the installed ones: each is MODULE, MODULE:OBJECT or an absolute path
    of a Python file. `blocked` ones are not loaded wherever they come from; unless the `required` ones work,
    no instance is admitted. Both go by name."""

    load: tuple[str, ...] = ()
    blocked: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


class Candidate(NamedTuple):
    """A plugin that was found and not loaded yet; `load` runs the plugin's code."""

    name: str
    source: str
    version: str
    load: Callable[[], object]
    built_in: bool = False


def _import_file(path: Path) -> ModuleType:
    name = f"kwhost_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def _loader(entry: str) -> Callable[[], object]:
    if entry.startswith("/"):
        return partial(_import_file, Path(entry))
    return importlib.metadata.EntryPoint(name=entry, value=entry, group=GROUP).load


def _installed() -> Iterator[Candidate]:
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        yield Candidate(
            entry.name, f"package {package}", entry.dist.version if entry.dist else "", entry.load
        )


def find_candidates(wanted: Iterable[str], *, installed: bool) -> Iterator[Candidate]:
    """All plugins, in the order in which they are loaded. What the configuration names is called what it is
    called there; a file, its name without .py."""
    for module in BUILT_IN:
        yield Candidate(module.rpartition(".")[2], "built in", __version__, _loader(module), built_in=True)
    if installed:
        yield from _installed()
    for entry in wanted:
        is_file = entry.startswith("/")
        name, kind = (Path(entry).stem, "file") if is_file else (entry, "module")
        yield Candidate(name, f"{kind} {entry}", "", _loader(entry))
