"""Every hook is checked, documented with its exact arguments and used; loading plugins is light."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pluggy
import pytest

from kwhost import hookspecs
from kwhost.core.pluginmgr.answers import CHECKS
from kwhost.core.pluginmgr.skeleton import skeleton_files

HEAVY = {"trio", "cffi", "_cffi_backend", "textual", "pyroute2", "msgspec"}


def specifications() -> dict[str, Any]:
    manager = pluggy.PluginManager("kwhost")
    return {
        name: value for name, value in vars(hookspecs).items() if manager.parse_hookspec_opts(hookspecs, name)
    }


def test_importing_the_specifications_is_cheap() -> None:
    code = "import sys, kwhost.hookspecs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert HEAVY.isdisjoint(done.stdout.split())


def test_listing_plugins_needs_no_event_loop() -> None:
    code = (
        "import sys; from kwhost.core.pluginmgr.loading import load_plugins;"
        "from kwhost.core.pluginmgr.discovery import Selection;"
        "load_plugins(Selection(), print, installed=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"trio", "cffi", "_cffi_backend"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("name", specifications())
def test_every_hook_has_a_check_and_a_chapter(project: Path, name: str) -> None:
    function = specifications()[name]
    arguments = ", ".join(inspect.signature(function).parameters)

    assert name in CHECKS
    assert function.__doc__
    assert f"### `{name}({arguments})`" in (project / "docs/plugins.md").read_text()


def test_every_hook_is_used_by_a_plugin_of_this_repository(project: Path) -> None:
    folders = ("kwhost/plugins", "plugins-contrib")
    files = [
        path for folder in folders for path in (project / folder).rglob("*.py") if "tests" not in path.parts
    ]
    texts = [path.read_text() for path in files]
    texts += [text for path, text in skeleton_files("sample").items() if path.endswith("__init__.py")]
    implemented = {
        node.name
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(decorator) == "hookimpl" for decorator in node.decorator_list)
    }

    assert set(specifications()) == implemented
