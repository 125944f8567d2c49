"""The temporary directory that holds everything a benchmark makes, and the C programs built into it."""

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.figures import MeasurementError

__all__ = ["Workspace"]

_SOURCES = Path(__file__).with_name("native")


class Workspace:
    """Programs, root file systems and bundles below one directory, readable by every id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root / "programs"
        root.chmod(0o755)
        self.programs.mkdir()

    def program(self, name: str) -> Path:
        """A static executable made from native/NAME.c; built when it is first asked for."""
        path = self.programs / name
        if not path.exists():
            source = _SOURCES / f"{name}.c"
            command = [
                "gcc",
                "-std=gnu11",
                "-O2",
                "-Wall",
                "-Wextra",
                "-static",
                "-o",
                str(path),
                str(source),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise MeasurementError(f"cannot build {source.name}: {done.stderr.strip().splitlines()[-1]}")
        return path

    def busybox_root(self) -> Path:
        """A root file system with nothing but busybox, as /bin/busybox and /bin/true."""
        root = self.root / "busybox"
        if not root.exists():
            found = shutil.which("busybox")
            if not found:
                raise MeasurementError("busybox is not installed")
            for name in ("bin", "dev", "etc", "mnt", "proc", "sys", "tmp"):
                (root / name).mkdir(parents=True)
            shutil.copy(os.path.realpath(found), root / "bin" / "busybox")
            (root / "bin" / "true").symlink_to("busybox")
            (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        return root

    def file(self, name: str, mebibytes: int) -> Path:
        """A file of random bytes, in the page cache."""
        path = self.programs / name
        if not path.exists():
            path.write_bytes(os.urandom(mebibytes << 20))
        return path
