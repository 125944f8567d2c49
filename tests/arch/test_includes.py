"""The monitor's folders include downwards only."""

import re
from pathlib import Path

# Lowest first. start.S and main.c stand above all.
LAYERS = ("abi", "base", "policy", "machine", "mm", "process", "calls", "procfs", "jail", "broker")
# Upper folders' interfaces, which lower ones call: they declare and include nothing of their folder's rest.
INTERFACES = {
    "broker/performed.def",
    "broker/broker.h",
    "calls/call.h",
    "calls/handlers.h",
    "calls/interruptible.h",
    "calls/stats.h",
    "procfs/procfs.h",
    "procfs/table.h",
}
INCLUDE = re.compile(r'^#include "((\w+)/[\w.]+)"', re.MULTILINE)


def test_includes_go_down(project: Path) -> None:
    monitor = project / "kwhost/monitor"
    upward = [
        f"{path.relative_to(monitor)} includes {header}"
        for folder in LAYERS
        for path in sorted((monitor / folder).glob("*.[chS]"))
        for header, target in INCLUDE.findall(path.read_text())
        if header not in INTERFACES and LAYERS.index(target) > LAYERS.index(folder)
    ]

    assert upward == []


def test_every_folder_has_its_layer(project: Path) -> None:
    folders = {path.name for path in (project / "kwhost/monitor").iterdir() if path.is_dir()}

    assert folders == {*LAYERS, "tests", "fuzz"}


def test_no_c_library_is_included(project: Path) -> None:
    freestanding = {
        "stdint.h",
        "stddef.h",
        "stdbool.h",
        "stdarg.h",
        "limits.h",
        "cpuid.h",
        "immintrin.h",
        "x86intrin.h",
    }
    foreign = [
        f"{path.name}: <{header}>"
        for folder in LAYERS
        for path in sorted((project / "kwhost/monitor" / folder).glob("*.[chS]"))
        for header in re.findall(r"^#include <([^>]+)>", path.read_text(), re.MULTILINE)
        if not header.startswith(("linux/", "asm/", "asm-generic/")) and header not in freestanding
    ]

    assert foreign == []
