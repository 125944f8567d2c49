"""Fixtures of the functional tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def busybox_root(tmp_path: Path) -> Path:
    """A root file system with nothing but busybox and two files in /etc."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox-static")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in ("sh", "ls", "cat", "id", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("owner:x:0:0::/:/bin/sh\nguest:x:77:78::/home/guest:/bin/sh\n")
    (root / "etc/group").write_text("owner:x:0:\nguests:x:78:guest\n")
    root.chmod(0o755)
    tmp_path.chmod(0o755)
    return root
