"""What mappings are for, read from the kernel's text; and threads."""

from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, HostError
from kwhost.core.model.daemon import ThreadState
from kwhost.core.model.memory import MemoryKind, MemoryUse
from kwhost.core.supervise import memory, processes
from kwhost.core.supervise.memory import read_memory, sum_mappings
from kwhost.core.supervise.processes import list_processes

WINDOW = 0x1000_0000_0000
FIRST = 70


def mapping(
    start: int, size: int, permissions: str, path: str = "", inode: int = 0, kilobytes: int = 4
) -> str:
    """Half of what is resident is written by this process only."""
    return (
        f"{start:x}-{start + size:x} {permissions} 00000000 fe:00 {inode}    {path}\n"
        f"Size: {size >> 10} kB\nRss:          {kilobytes} kB\nPss:       {kilobytes // 4} kB\n"
        f"Private_Dirty:   {kilobytes // 2} kB\nSwap:    {kilobytes // 2} kB\nVmFlags: rd mr mw me \n"
    )


def by_kind(text: str) -> dict[MemoryKind, MemoryUse]:
    return {use.kind: use for use in sum_mappings(text.encode())[1]}


GUEST = "".join([
    mapping(0x400000, 0x1000, "r-xp", "/memfd:kwhost-monitor (deleted)", 9),
    mapping(WINDOW, 0x400000, "---p"),
    mapping(WINDOW + 0x400000, 0x2000, "r--p", "/bin/a b", 11, kilobytes=8),
    mapping(WINDOW + 0x402000, 0x1000, "rw-p", "/bin/a b", 11),
    mapping(WINDOW + 0x403000, 0x40000, "rw-p", kilobytes=128),
    mapping(WINDOW + 0x600000, 0x1000, "r--p", "/lib/libc.so.6", 12),
    mapping(WINDOW + 0x700000, 0x1000, "r--p", "/lib/locale", 13),
    mapping(WINDOW + 0x800000, 0x1000, "rw-s", "/dev/zero (deleted)", 14),
    mapping(0x7F0000000000, 0x3000, "rw-p", kilobytes=12),
])  # fmt: skip


def test_mappings_are_summed_by_kind() -> None:
    program, uses = sum_mappings(GUEST.encode())
    found = {use.kind: (use.mappings, use.size >> 10, use.resident >> 10) for use in uses}

    assert program == "/bin/a b"
    assert found == {
        MemoryKind.PROGRAM: (2, 12, 12),
        MemoryKind.LIBRARIES: (1, 4, 4),
        MemoryKind.FILES: (1, 4, 4),
        MemoryKind.ANONYMOUS: (1, 256, 128),
        MemoryKind.SHARED: (1, 4, 4),
        MemoryKind.MONITOR: (2, 16, 16),
    }


def test_shares_and_what_is_written_and_swapped_are_told() -> None:
    use = by_kind(GUEST)[MemoryKind.ANONYMOUS]

    assert (use.share, use.written, use.swapped) == (32 << 10, 64 << 10, 64 << 10)


def test_addresses_that_are_kept_free_are_no_memory() -> None:
    assert by_kind(mapping(WINDOW, 1 << 40, "---p")) == {}


@pytest.mark.parametrize(("name", "library"), [
    ("/lib/x.so", True), ("/lib/x.so.1.2", True), ("/lib/x.so.1 (deleted)", True),
    ("/lib/x.sort", False), ("/a.so.d/file", False),
])  # fmt: skip
def test_libraries_are_told_by_their_names(name: str, library: bool) -> None:
    program = mapping(WINDOW, 0x1000, "r--p", "/bin/sh", 1)
    found = by_kind(program + mapping(WINDOW + 0x5000, 0x1000, "r--p", name, 2))

    assert (MemoryKind.LIBRARIES if library else MemoryKind.FILES) in found


def test_a_hostile_path_is_one_harmless_line() -> None:
    evil = "/\x1b]0;x\x07" + "y" * 5000
    program, _ = sum_mappings(mapping(WINDOW, 0x1000, "r--p", evil, 1).encode())

    assert program.isprintable()
    assert len(program) == 256


class Proc:
    """A directory like /proc with the processes of one instance."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def process(self, pid: int, smaps: str = GUEST) -> Path:
        directory = self.path / str(pid)
        (directory / "ns").mkdir(parents=True)
        (directory / "ns/pid").symlink_to("pid:[1]")
        (directory / "smaps").write_text(smaps)
        (directory / "status").write_text("Name: x\nVmPTE:\t      20 kB\n")
        (directory / "cmdline").write_text("sleep\0")
        (directory / "stat").write_text(f"{pid} (x) S" + " 0" * 30)
        self.thread(pid, pid, "x", "S")
        return directory

    def thread(self, pid: int, tid: int, name: str, state: str, ticks: int = 0) -> None:
        directory = self.path / str(pid) / "task" / str(tid)
        directory.mkdir(parents=True)
        (directory / "stat").write_text(
            f"{tid} ({name}) {state}" + " 0" * 10 + f" {ticks} {ticks}" + " 0" * 9
        )


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    for module in (memory, processes):
        monkeypatch.setattr(module, "_PROC", tmp_path)
    return Proc(tmp_path)


def test_processes_are_summed(proc: Proc) -> None:
    for pid in (FIRST, 71):
        proc.process(pid)

    found = read_memory(FIRST)

    assert [process.pid for process in found.processes] == [FIRST, 71]
    assert (found.uses[0].mappings, found.page_tables, found.left_out) == (4, 40 << 10, 0)


def test_what_is_too_much_is_left_out_and_told(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_BYTES_MAX", len(GUEST) * 3 // 2)
    for pid in (FIRST, 71, 72):
        proc.process(pid)

    found = read_memory(FIRST)

    assert [process.cut for process in found.processes] == [False, True]
    assert found.left_out == 1


def test_no_more_than_so_many_processes_are_read(proc: Proc) -> None:
    for pid in range(FIRST, FIRST + 66):
        proc.process(pid)

    found = read_memory(FIRST)

    assert (len(found.processes), found.left_out) == (64, 2)


def test_an_instance_that_has_ended_has_no_memory(proc: Proc) -> None:
    with pytest.raises(Conflict, match="has ended"):
        read_memory(FIRST)


def test_a_map_that_cannot_be_read_is_an_error(proc: Proc) -> None:
    (proc.process(FIRST) / "smaps").unlink()
    (proc.path / str(FIRST) / "smaps").mkdir()

    with pytest.raises(HostError, match="memory map of process 70"):
        read_memory(FIRST)


def test_threads_are_listed_without_those_of_the_host(proc: Proc) -> None:
    proc.process(FIRST)
    proc.thread(FIRST, 72, "a) (R\x1b", "R", ticks=50)
    proc.thread(FIRST, 71, "kvm-nx-lpage-re", "S")

    (entry,) = list_processes(FIRST)

    assert entry.threads == 2
    assert [(each.tid, each.name, each.state) for each in entry.listed] == [
        (FIRST, "x", ThreadState.SLEEPING),
        (72, "a) (R?", ThreadState.RUNNING),
    ]
    assert entry.listed[1].cpu_seconds > 0


def test_of_many_threads_the_first_are_listed_and_all_counted(proc: Proc) -> None:
    proc.process(FIRST)
    for tid in range(100, 200):
        proc.thread(FIRST, tid, "worker", "S")

    (entry,) = list_processes(FIRST)

    assert (entry.threads, len(entry.listed)) == (101, 64)
