"""Disks: what an instance's own costs its start, and what making a volume costs."""

import os
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import find_program, time_command
from benchmarks.figures import Figure, NotMeasurable, Series
from benchmarks.hosting import TENANT, HostingDaemon
from benchmarks.image_archives import make_archive
from benchmarks.measures.images import load_command
from benchmarks.requests import answer_of, ask_all, request_text
from benchmarks.rounds import Sample, interleave
from kwhost.core.storage.kinds import usual_kind

__all__ = ["measure_disks"]

_GROUP, _MEMORY = "disks, through the daemon", "in memory"
_SIZE = 1 << 30
_COMMAND = ("/bin/busybox", "sleep", "1000")


def _ask(daemon: HostingDaemon, method: str, path: str, body: Any = None) -> Any:
    return answer_of(ask_all(daemon.api, [request_text(method, path, body)])[0][2])


def _start(daemon: HostingDaemon, definition: dict[str, Any]) -> dict[str, float]:
    """Nanoseconds until an instance has started, and until it is removed again."""
    begin = time.monotonic_ns()
    started = _ask(daemon, "POST", "/v1/instances?start=true", definition)
    begun = time.monotonic_ns()
    _ask(daemon, "DELETE", f"/v1/instances/{started['id']}?force=true")
    return {"started": begun - begin, "removed": time.monotonic_ns() - begun}


def _volume(daemon: HostingDaemon, numbers: "count[int]") -> float:
    body = {"name": f"volume-{next(numbers)}", "size": _SIZE}
    begin = time.monotonic_ns()
    _ask(daemon, "POST", f"/v1/volumes?tenant={TENANT}", body)
    made = time.monotonic_ns() - begin
    _ask(daemon, "DELETE", f"/v1/volumes/{body['name']}?tenant={TENANT}")
    return float(made)


def measure_disks(bench: Bench) -> list[Figure]:
    """An instance whose changes go to a disk of 1 GiB, and one with a volume, beside one that has neither."""
    if os.geteuid() != 0:
        raise NotMeasurable("disks and bounded volumes are root's alone")
    root = bench.workspace.root / "disks"
    root.mkdir()
    archive = make_archive(root, "app", (Path(find_program("busybox")),), 0, 0)
    directory = root / "daemon"
    with HostingDaemon(directory) as daemon:
        time_command(load_command(archive, directory / "state", directory / "run"))
        _ask(daemon, "POST", f"/v1/volumes?tenant={TENANT}", {"name": "data", "size": _SIZE})
        plain = {"tenant": TENANT, "name": "one", "image": archive.name, "command": _COMMAND}
        volume = {"source": "data", "target": "/data", "read_only": False}
        figures = []
        for title, more in (
            ("changes to the root on a disk", {"changes": "disk"}),
            ("a volume", {"volumes": [volume]}),
        ):
            samples: dict[str, Sample] = {
                KWHOST: partial(_start, daemon, plain | more),
                _MEMORY: partial(_start, daemon, plain),
            }
            table = interleave(samples, 3 * bench.rounds)
            for key in ("started", "removed"):
                figures += compare(_GROUP, f"{title}, {key}", table, key, {_MEMORY: None})
        numbers = count()
        made = [_volume(daemon, numbers) for _ in range(bench.rounds)]
    kind = usual_kind(root)
    return [*figures, Figure(group=_GROUP, name=f"a volume ({kind}) made", ours=Series(KWHOST, tuple(made)))]
