"""What ordinary programs rely on holds where their calls are judged and made by somebody else: with rules on
files, as natively and with a virtual machine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.engines.kernel_version import kernel_version
from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand

EACCES = 13
ALL = READ | WRITE | EXECUTE


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    """One with the program `relied`."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("relied.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/relied")
    (busybox_root / "tmp").mkdir()
    (busybox_root / "tmp").chmod(0o777)
    (busybox_root / "tmp/open").write_text("open")
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


def judged() -> ByHand:
    """Everything is permitted but one file, so that each path is looked at."""
    return ByHand().path("/**", ALL).path("/srv/none", 0, ("ERRNO", EACCES, 9))


def ran(instance: HostedInstance, what: str) -> list[str]:
    """What the program prints."""
    instance.start("/bin/relied", what, policy=judged().compiled())
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


@pytest.mark.hw
def test_a_process_that_gave_up_its_ids_knows_of_itself_and_of_nobody_else(instance: HostedInstance) -> None:
    assert ran(instance, "own") == [
        "memory map: ok",
        "descriptors: ok",
        "a descriptor: ok",
        "a descriptor of the device: ok",
        "a descriptor of the thread: ok",
        "program: ok",
        "working directory: ok",
        "root: ok",
        "another's memory map: EACCES",
        "another's descriptors: EACCES",
        "another's working directory: EACCES",
    ]


def test_what_was_closed_nobody_has_open(instance: HostedInstance) -> None:
    assert ran(instance, "closed") == ["executed 100, locked 100, ended 100"]


@pytest.mark.hw
def test_sockets_are_bound_at_the_callers_paths_alone(instance: HostedInstance) -> None:
    """The process that decides is in another directory, where the host's processes can be named."""
    assert ran(instance, "places") == [
        ".: EADDRINUSE",
        "..: EADDRINUSE",
        "here/.: EADDRINUSE",
        "here/..: EADDRINUSE",
        "nowhere/.: ENOENT",
        "open/.: ENOTDIR",
        "1/.: ENOENT",
        "1/fd/.: ENOENT",
        "self/.: ENOENT",
        "/: EADDRINUSE",
        "/nowhere/.: ENOENT",
        "socket: ok",
    ]


@pytest.mark.hw
def test_a_thread_goes_on_when_the_first_one_has_ended(instance: HostedInstance, *, virtual: bool) -> None:
    without_descriptors = not virtual and kernel_version(os.uname().release) < (6, 9)

    assert ran(instance, "headless") == [
        "opened: ok",
        "made: ok",
        *(["sent: EBADF", "received: EAGAIN"] if without_descriptors else ["sent: ok", "received: ok"]),
    ]
