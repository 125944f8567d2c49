"""What is noted of an instance in its directories."""

import threading
from pathlib import Path

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.model.ids import InstanceId

NOTES = ("sha256:" + "1" * 64, "sha256:" + "2" * 64)


def test_whoever_looks_at_an_instances_image_sees_one(tmp_path: Path) -> None:
    """Such as who removes images that nobody has, or the daemon after one that was killed."""
    dirs = InstanceDirs.of(tmp_path, tmp_path, InstanceId("0123456789ab"))
    dirs.make()
    dirs.keep_image(NOTES[0])
    over = threading.Event()

    def write() -> None:
        for number in range(500):
            dirs.keep_image(NOTES[number % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(dirs.read_image())
    writer.join()

    assert seen <= set(NOTES)
