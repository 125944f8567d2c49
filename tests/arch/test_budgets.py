"""Files and functions stay small enough for a reader. The lists of exceptions may only shrink."""

import ast
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 500
FUNCTION_LINES = 60
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
FOLDERS = ("kwhost", "plugins-contrib", "tests", "tools", "benchmarks")


def files(project: Path, *suffixes: str) -> Iterator[tuple[str, Path]]:
    for folder in FOLDERS:
        for path in sorted((project / folder).rglob("*")):
            if path.suffix in suffixes:
                yield str(path.relative_to(project)), path


def python_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield node.name, node.end_lineno - node.lineno + 1


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    start, name = 0, ""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        opens_function = line.endswith(") {") and not line[0].isspace()
        if line == "{" or opens_function:
            start, name = number, (lines[number - 2] if line == "{" else line).partition("(")[0].split()[-1]
        elif line == "}" and start:
            yield name, number - start + 1
            start = 0


def test_files_are_short(project: Path) -> None:
    long = {
        name
        for name, path in files(project, ".py", ".c", ".h", ".S")
        if len(path.read_text().splitlines()) > FILE_LINES
    }

    assert long == LONG_FILES


def test_functions_are_short(project: Path) -> None:
    long = {
        f"{name}:{function}"
        for name, path in files(project, ".py", ".c")
        if path.suffix == ".py" or name.startswith("kwhost/")
        for function, lines in (python_functions if path.suffix == ".py" else c_functions)(path)
        if lines > FUNCTION_LINES
    }

    assert long == LONG_FUNCTIONS


def test_the_entry_code_is_short(project: Path) -> None:
    """The design promises less than 200 lines of ring 0 code."""
    lines = (project / "kwhost/monitor/machine/entry.S").read_text().splitlines()

    assert len(lines) < 200
