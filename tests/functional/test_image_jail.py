"""What the process that unpacks images has and may do, should a layer have taken it over."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import Any

import pytest

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import ImageError
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.unpack import unpack
from kwhost.core.images.unpackers import Unpackers
from kwhost.core.model.ids import DEFAULT_UID_BASE
from tests.functional.image_layers import Layers
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_the_process_can_do_nothing_else(layers: Layers, tmp_path: Path) -> None:
    """What it has, seen from outside while it waits for its archive."""
    reading, writing = os.pipe()
    before = set(Path("/proc").glob("[0-9]*"))
    failures: list[str] = []

    def work() -> None:
        try:
            with Unpackers(lambda: lease_ids(DEFAULT_UID_BASE)) as unpackers:
                unpack(reading, layers.root, LayerBounds(), unpackers)
        except ImageError as error:
            failures.append(str(error))

    worker = Thread(target=work)
    worker.start()
    try:
        os.write(writing, Archive().add("f", b"x" * 4096).data[:1024])
        process = _wait_jailed(before)
        status = (process / "status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        kept = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == kept
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        assert int(fields["Uid"].split()[0]) >= DEFAULT_UID_BASE
        for space in ("user", "mnt", "net", "ipc", "uts"):
            assert os.readlink(process / f"ns/{space}") != os.readlink(f"/proc/self/ns/{space}")
        assert len((process / "mountinfo").read_text().splitlines()) == 1
        assert sorted(os.listdir(process / "root")) == ["f"]
        os.kill(int(process.name), signal.SIGKILL)
    finally:
        os.close(writing)
        worker.join(20)
        os.close(reading)
    assert "killed by signal 9" in failures[0]


_FILTERED = """
import ctypes, fcntl, os, signal
from kwhost.core.abi import unpack_jail
libc = ctypes.CDLL(None)
parent, own = os.getppid(), os.getpid()
def refused(call):
    try:
        return call() == -1
    except PermissionError:
        return True
unpack_jail.filter_unpacking()
print([refused(call) for call in (
    lambda: libc.syscall(234, own, own, 0),
    lambda: libc.syscall(234, parent, parent, 0),
    lambda: fcntl.fcntl(0, fcntl.F_GETFL),
    lambda: fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 0),
    lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent),
    lambda: fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL),
)], flush=True)
os._exit(0)
"""


def test_the_process_can_signal_nobody_else() -> None:
    done = subprocess.run([sys.executable, "-c", _FILTERED], check=True, capture_output=True, text=True)

    assert done.stdout == "[False, True, False, False, True, True]\n"


def test_the_process_cannot_change_its_archive(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []

    def send(control: Any, messages: Any, fds: list[int]) -> Any:
        modes.append(fcntl.fcntl(fds[0], fcntl.F_GETFL) & os.O_ACCMODE)
        return send_fds(control, messages, fds)

    send_fds: Any = socket.send_fds
    monkeypatch.setattr(socket, "send_fds", send)
    with TemporaryFile() as archive, Unpackers(lambda: lease_ids(DEFAULT_UID_BASE)) as unpackers:
        archive.write(Archive().add("f", b"x").data)
        archive.seek(0)
        unpack(archive.fileno(), layers.root, LayerBounds(), unpackers)

    assert modes == [os.O_RDONLY]
    assert (layers.root / "f").read_bytes() == b"x"


def test_a_process_that_began_early_is_taken_or_ends() -> None:
    others = _children()
    with Unpackers(lambda: lease_ids(DEFAULT_UID_BASE)) as unpackers:
        unpackers.prepare()
        unpackers.prepare()
        began = _children() - others
        taken = unpackers.take()
        try:
            assert began == {taken.process.pid}
        finally:
            taken.end()
        unpackers.prepare()
        assert len(_children() - others) == 1
    assert not _children() - others


def _children() -> set[int]:
    found = Path("/proc/self/task").glob("*/children")
    return {int(pid) for children in found for pid in children.read_text().split()}


def _wait_jailed(before: set[Path]) -> Path:
    """The unpacking process, once its filter is set and it has read what there is."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for process in set(Path("/proc").glob("[0-9]*")) - before:
            try:
                ours = b"unpack_process" in (process / "cmdline").read_bytes()
                jailed = ours and "Seccomp:\t2" in (process / "status").read_text()
                if jailed and os.listdir(process / "root") == ["f"]:
                    return process
            except OSError:
                continue
    raise AssertionError("no process was jailed")
