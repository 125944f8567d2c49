"""An instance lies in wait for programs that join it (exec): known attacks on other runtimes."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType
from tests.functional.hosted import HostedInstance, wait_until
from tests.functional.test_join import Joined

JOINS = 60
# What programs of the instance may have open, as their /proc tells it.
HARMLESS = re.compile(r"(pipe:\[\d+\]|socket:\[\d+\]|/dev/(null|pts/\d+|tty)|/(seen|script)|/proc(/\S*)?|/)")

Lurk = Callable[[str], None]


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    for name in ("readlink", "ln", "mv", "rm"):
        (busybox_root / "bin" / name).symlink_to("busybox")
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


@pytest.fixture
def lurk(instance: HostedInstance) -> Lurk:
    """`lurk(SCRIPT)`: the instance's program does this for ever, without a word."""

    def start(script: str) -> None:
        instance.shell(f"echo up; while :; do {script}\ndone 2>/dev/null")
        wait_until(lambda: instance.logged().startswith("up\n"))

    return start


def join(instance: HostedInstance, *argv: str, workdir: str = "/") -> tuple[int, str, str] | str:
    """How a joining program ended: status, output, errors; or why it did not start."""
    joined = Joined(instance, argv, workdir=workdir)
    try:
        while event := joined.client.receive()[0]:
            if event.type is EventType.FAILED:
                return event.text
            if event.type is EventType.STARTED:
                return joined.finish()
    finally:
        joined.close()
    pytest.fail("neither a start nor a failure was told")


@pytest.mark.hw
def test_no_working_directory_leads_out(instance: HostedInstance, lurk: Lurk) -> None:
    """CVE-2024-21626: a descriptor that leaked, named as the directory to work in."""
    lurk("sleep 1")
    root = join(instance, "ls", "-ai", "/")
    assert isinstance(root, tuple)

    for fd in (*range(3, 14), 1023, 1024, 1025, 1030):
        end = join(instance, "ls", "-ai", "../../../../../../..", workdir=f"/proc/self/fd/{fd}")
        assert isinstance(end, str) or end[1] == root[1], f"descriptor {fd}: {end}"


@pytest.mark.parametrize("trap", ["#!/proc/self/exe", "#!/proc/1/exe", "link"])
def test_a_program_that_is_the_runtime_gets_nothing_of_it(
    instance: HostedInstance, lurk: Lurk, busybox_root: Path, monitor_path: Path, trap: str
) -> None:
    """CVE-2019-5736: the program is the runtime's own file, which is then written to."""
    before = hashlib.sha256(monitor_path.read_bytes()).digest()
    program = busybox_root / "bin/trap"
    if trap == "link":
        program.symlink_to("/proc/self/exe")
    else:
        program.write_text(f"{trap}\n")
        program.chmod(0o755)
    lurk("for p in /proc/[0-9]*; do echo x >$p/exe; echo x >>$p/exe; done")

    ends = [join(instance, "trap", "-c", "echo monitor") for _ in range(JOINS)]
    well = [join(instance, "sh", "-c", "exit 7") for _ in range(3)]

    assert all(isinstance(end, str) or "kwhost" not in end[1] for end in ends)
    assert [end[0] for end in well] == [7, 7, 7]
    assert hashlib.sha256(monitor_path.read_bytes()).digest() == before


def test_what_joins_shows_nothing_but_its_own(instance: HostedInstance, lurk: Lurk) -> None:
    """CVE-2016-9962: descriptors of the host, seen in the process before it has let go of them."""
    lurk("ls -l /proc/[0-9]*/fd /proc/[0-9]*/cwd /proc/[0-9]*/root >>/seen")

    for _ in range(JOINS):
        assert join(instance, "sh", "-c", "exit 0") == (0, "", "")

    wait_until(lambda: "/seen" in _seen(instance))
    strange = {link for link in _seen(instance) if not HARMLESS.fullmatch(link)}
    assert strange == set()


def _seen(instance: HostedInstance) -> set[str]:
    end = join(instance, "cat", "/seen")
    assert isinstance(end, tuple)
    assert end[0] == 0, end
    return set(re.findall(r" -> (.*)\n", end[1]))  # the last line may be on its way


def test_programs_put_in_the_place_of_the_one_that_is_run_stay_inside(
    instance: HostedInstance, lurk: Lurk, busybox_root: Path
) -> None:
    """The path leads elsewhere each time it is looked at: within, out of the root, over a magic link."""
    (busybox_root / "bin/list").write_text("#!/bin/sh\nls -ai /\n")
    (busybox_root / "bin/list").chmod(0o755)
    lurk(
        "for to in list ../../../../../bin/list /proc/self/root/bin/list /proc/self/exe; do"
        " rm -f /bin/new; ln -s $to /bin/new; mv -T /bin/new /bin/turn; done;"
    )
    wait_until(lambda: join(instance, "readlink", "/bin/turn")[0] == 0)
    root = join(instance, "list")

    ends = [join(instance, "turn") for _ in range(JOINS)]
    wait_until(lambda: _listings([*ends, join(instance, "turn")]))

    assert isinstance(root, tuple)
    # A shell that is handed the link as its script may find a program's bytes there, and make files of them.
    assert all(set(root[1].splitlines()) <= set(listing.splitlines()) for listing in _listings(ends))


def _listings(ends: list[tuple[int, str, str] | str]) -> set[str]:
    return {end[1] for end in ends if isinstance(end, tuple) and end[0] == 0}
