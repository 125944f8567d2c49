"""Images: loading them, starting from them, and many instances of one."""

import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import Command, find_program, time_command
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Series, Target, Unit
from benchmarks.hosting import TENANT, HostingDaemon
from benchmarks.image_archives import ImageArchive, make_archive
from benchmarks.processes import descendants, mapped_sizes
from benchmarks.requests import answer_of, ask_all, request_text
from benchmarks.rounds import Sample, interleave

__all__ = ["load_command", "measure_image_sharing", "measure_image_starts", "measure_images"]

_LOADS, _STARTS, _SHARING = "loading images", "starting from images", "instances of one image"
_REFERENCE = "tar -x, sha256sum"
# By title: files, the bytes of each, rounds at most, and what is promised.
_CASES = {
    "500 MiB in files of 128 KiB": (4000, 128 << 10, 4, Target(limit=0.7)),
    "10,000 files of 2,000 bytes": (10_000, 2000, 20, Target(limit=0.4)),
}
_MANY_FILES = (10_000, 2000)
_START_TARGET = Target(limit=10e6, absolute=True)
_INSTANCES = 100
# The image's files, of which the program maps the first. Beside them an instance's own records are little.
_SHARED_FILES, _SHARED_BYTES = 16, 16 << 20
_SHARED_FILE = "/usr/share/directory-0/file-0"
# What 100 instances may add to one copy of the image: a tenth.
_ONCE_TARGET = Target(limit=1.1)


def load_command(archive: ImageArchive, state: Path, run: Path | None = None) -> Command:
    """The command; without a daemon, or with the one of `run`."""
    script = Path(sys.executable).with_name("kwhost")
    kwhost = [script] if script.exists() else [Path(sys.executable), "-m", "kwhost"]
    directories = (f"KWHOST_STATE_DIR={state}", f"KWHOST_RUN_DIR={run or state / 'run'}")
    return ["env", *directories, *kwhost, "image", "load", archive.archive]


def _timed(prepare: Callable[[], Command]) -> Sample:
    """Once what earlier rounds wrote is on the disk."""

    def sample() -> dict[str, float]:
        command = prepare()
        os.sync()
        return {"wall": time_command(command)}

    return sample


def _new_directory(root: Path, numbers: "count[int]") -> Path:
    """Each round has one of its own; all stay until the end, as removing files slows down making others."""
    directory = root / str(next(numbers))
    directory.mkdir()
    return directory


def measure_images(bench: Bench) -> list[Figure]:
    """`kwhost image load` into an empty store, against unpacking and hashing the layer alone, which leaves
    the files in memory while ours are on the disk."""
    if os.geteuid() != 0:
        raise NotMeasurable("owners of files are an archive's for root alone")
    tar = 'tar -x -f "$1" -C "$2" && sha256sum "$1"'
    figures = []
    for title, (files, size, rounds, target) in _CASES.items():
        root = bench.workspace.root / f"images-{files}"
        root.mkdir()
        made = make_archive(root, "app", (), files, size)
        fresh = partial(_new_directory, root, count())
        samples: dict[str, Sample] = {
            KWHOST: _timed(lambda made=made, fresh=fresh: load_command(made, fresh())),  # type: ignore[misc]
            _REFERENCE: _timed(
                lambda made=made, fresh=fresh: ["sh", "-c", tar, "sh", made.layer, fresh()]  # type: ignore[misc]
            ),
        }
        table = interleave(samples, min(bench.rounds, rounds))
        figures += compare(_LOADS, title, table, "wall", {_REFERENCE: target}, speed=True)
    return figures


def measure_image_starts(bench: Bench) -> list[Figure]:
    """Launcher to exit of busybox true, from an image of 10,000 files and from one of a single file."""
    root = bench.workspace.root / "image-starts"
    root.mkdir()
    busybox = Path(find_program("busybox"))
    samples: dict[str, Sample] = {}
    for label, name, (files, size) in (("small image", "small", (0, 0)), (KWHOST, "large", _MANY_FILES)):
        archive = make_archive(root, name, (busybox,), files, size)
        time_command(load_command(archive, root / "state"))
        plan = bench.launcher.plan(("/bin/busybox", "true"), image=archive.name, state_dir=root / "state")
        samples[label] = lambda plan=plan: {"wall": bench.launcher.run(plan).wall_ns}  # type: ignore[misc]
    table = interleave(samples, 4 * bench.rounds)
    title = "busybox true, from an image of 10,000 files"
    figures = compare(_STARTS, title, table, "wall", {"small image": None})
    more = max(0.0, table[KWHOST]["wall"].middle - table["small image"]["wall"].middle)
    longer = Figure(group=_STARTS, name="longer by", ours=Series(KWHOST, (more,)), target=_START_TARGET)
    return [*figures, longer]


def _disk_space(directory: Path) -> float:
    """Bytes that it takes, each file once."""
    found = [path.lstat() for path in (directory, *directory.rglob("*"))]
    return float(sum({(each.st_dev, each.st_ino): each.st_blocks * 512 for each in found}.values()))


def _once(name: str, all_of_them: float, once: float) -> Figure:
    ours, reference = Series(KWHOST, (all_of_them,)), Series("once", (once,))
    return Figure(
        group=_SHARING, name=name, ours=ours, reference=reference, unit=Unit.BYTES, target=_ONCE_TARGET
    )


def _start_all(daemon: HostingDaemon, image: str) -> None:
    """Start the instances, and wait until each has read the image's file."""
    body = {"tenant": TENANT, "image": image, "command": ["/bin/hold", _SHARED_FILE]}
    requests = [
        request_text("POST", "/v1/instances?start=true", body | {"name": f"hold-{number}"})
        for number in range(_INSTANCES)
    ]
    for _, _, answer in ask_all(daemon.api, requests):
        answer_of(answer)
    daemon.wait_until(lambda: daemon.all_run() and _mapped(daemon)[0] >= _INSTANCES * _SHARED_BYTES, 0.1)


def _mapped(daemon: HostingDaemon) -> tuple[int, int]:
    """Bytes of the image's file in the memory of all, and their share of what is really there."""
    sizes = [mapped_sizes(pid, _SHARED_FILE) for pid in descendants(daemon.process.pid)]
    return sum(rss for rss, _ in sizes), sum(pss for _, pss in sizes)


def measure_image_sharing(bench: Bench) -> list[Figure]:
    """Memory and disk space of 100 instances whose program reads all of a mapped file of their image."""
    if os.geteuid() != 0:
        raise NotMeasurable("reading monitors' memory maps needs root")
    root = bench.workspace.root / "image-sharing"
    root.mkdir()
    programs = (bench.workspace.program("hold"),)
    archive = make_archive(root, "shared", programs, _SHARED_FILES, _SHARED_BYTES)
    directory = root / "daemon"
    with HostingDaemon(directory) as daemon:
        time_command(load_command(archive, directory / "state", directory / "run"))
        before = _disk_space(directory)
        _start_all(daemon, archive.name)
        if (proportional := _mapped(daemon)[1]) < _SHARED_BYTES // 2:
            raise MeasurementError("the instances' shares of the image's file are too small to be true")
        return [
            _once(f"memory of a file that {_INSTANCES} have mapped", proportional, _SHARED_BYTES),
            _once(f"disk space with {_INSTANCES} running", _disk_space(directory), before),
        ]
