"""ELF files cut off or damaged at any place, crashes, and a host without KVM."""

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import Run
from tests.engine.ways import DIRECT, Way, case
from tests.engine.workshop import Workshop

pytestmark = pytest.mark.root

CRASHES = {
    "null": ("*(volatile int *)8 = 1;", 11, "segmentation fault at 0x8 "),
    "jump": ("((void (*)(void))0x1234000)();", 11, "segmentation fault at 0x1234000 "),
    "read-only": ('*(volatile char *)(unsigned long)"text" = 1;', 11, "crash_read-only.static"),
    "ud2": ('__asm__ volatile("ud2");', 4, "illegal instruction at 0x"),
    "division": ('__asm__ volatile("idivl %%ecx" :: "a"(1), "d"(0), "c"(0));', 8, "division by zero"),
    "stack": ("volatile char here[4096]; here[0] = 1; return main() + here[0];", 11, "fault at 0x"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_is_128_plus_its_signal_and_one_line(
    name: str, way: Way, run_inside: Run, tmp_path: Path
) -> None:
    code, number, words = CRASHES[name]
    _compile(tmp_path, f"crash_{name}", f"int main(void) {{ {code} return 0; }}\n")

    outcome = run_inside([f"/given/crash_{name}.static"], options=_given(tmp_path))

    assert outcome.status == 128 + number
    if way.is_direct:
        assert outcome.errors.count("\n") == 1
        assert words in outcome.errors
    else:  # nobody who could say where
        assert outcome.errors == ""


def _compile(folder: Path, name: str, code: str) -> bytes:
    """The static program's content; it lies in the folder then."""
    source = folder / f"{name}.c"
    source.write_text(code)
    folder.chmod(0o755)
    Workshop(folder).build(source)
    return (folder / f"{name}.static").read_bytes()


def _given(folder: Path) -> list[str]:
    return ["-v", f"{folder}:/given:ro"]


@pytest.mark.parametrize("number", [1, 2, 6, 9, 14, 15, 34, 64])
def test_death_by_signal_is_128_plus_it(number: int, way: Way, run_inside: Run) -> None:
    """Where there is no virtual machine the kernel spares the first process: there it is another one's."""
    options = () if way.is_direct else ("--init",)

    assert run_inside(["/bin/sh", "-c", f"kill -{number} $$"], options=options).status == 128 + number


def _variants(program: bytes) -> list[bytes]:
    """Cut off at telling places, and with random damage to the headers."""
    dice = random.Random(20)
    header_end = 64 + 56 * struct.unpack_from("<H", program, 56)[0]
    sizes = (0, 1, 4, 16, 52, 63, 64, 65, 100, header_end - 1, header_end, 4096, len(program) // 2)
    cut = [program[:size] for size in sizes]
    damaged = []
    for _ in range(60):
        data = bytearray(program)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(4, header_end)
            data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        damaged.append(bytes(data))
    for offset, value in ((32, 2**63), (32, 2**40), (56, 0xFFFF), (54, 1), (24, 2**47), (24, 0)):
        data = bytearray(program)
        struct.pack_into("<H" if offset in (54, 56) else "<Q", data, offset, value)
        damaged.append(bytes(data))
    huge = ((8, 2**63), (16, 2**46), (16, 2**64 - 4096), (32, 2**60), (40, 2**63), (40, 0), (48, 3))
    for field, value in huge:
        data = bytearray(program)
        struct.pack_into("<Q", data, 64 + field, value)
        struct.pack_into("<Q", data, 64 + 56 + field, value)
        damaged.append(bytes(data))
    return cut + damaged


PLAIN = "int main(void) { return 42; }\n"


@pytest.mark.slow
@pytest.mark.parametrize("way", [case(DIRECT)], indirect=True)
def test_damaged_programs_end_somehow_and_harm_nothing(run_inside: Run, tmp_path: Path) -> None:
    """One shell inside executes them all: each execve fails or starts something that ends by itself."""
    variants = _variants(_compile(tmp_path, "plain", PLAIN))
    for number, data in enumerate(variants):
        path = tmp_path / f"damaged-{number:03}"
        path.write_bytes(data)
        path.chmod(0o755)

    script = 'for f in /given/damaged-*; do timeout -s KILL 5 "$f"; echo $?; done 2>/dev/null; echo end'
    outcome = run_inside(["/bin/bash", "-c", script], options=_given(tmp_path))

    *codes, last = outcome.output.split()
    assert (outcome.status, last, len(codes)) == (0, "end", len(variants)), outcome.errors
    assert "125" not in codes
    assert codes.count("137") < 5


@pytest.mark.parametrize("way", [case(DIRECT)], indirect=True)
def test_damaged_programs_as_the_first_one(run_inside: Run, tmp_path: Path) -> None:
    whole = _compile(tmp_path, "plain", PLAIN)
    assert run_inside(["/given/plain.static"], options=_given(tmp_path)).status == 42
    for number, damaged in enumerate(_variants(whole)[1::9]):
        path = tmp_path / f"first-{number}"
        path.write_bytes(damaged)
        path.chmod(0o755)

        outcome = run_inside([f"/given/{path.name}"], options=_given(tmp_path), seconds=20)

        assert outcome.status in (42, 126) or outcome.status > 128, outcome.errors
        assert "internal error" not in outcome.errors
        assert "report this" not in outcome.errors


@pytest.mark.kvm
@pytest.mark.parametrize(
    ("arrange", "clue"),
    [
        ("mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3", "/dev/kvm"),
        ("mount --bind /dev/null /dev/kvm", "/dev/kvm"),
    ],
    ids=["absent", "another device"],
)
def test_a_host_without_kvm(arrange: str, clue: str, kwhost_command: list[str]) -> None:
    hidden = ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{arrange} && exec "$@"', "sh"]
    done = subprocess.run(
        [*hidden, *kwhost_command, "run", "--", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 125
    assert re.fullmatch(r"kwhost: [^\n]+\n", done.stderr)
    assert clue in done.stderr


def test_arguments_reach_the_program_whole(workshop: Workshop, run_inside: Run) -> None:
    """Empty, odd and long ones; the program itself is told by its own name."""
    odd = ["", " ", "two words", "*", "--", "-x", "é", "a\nb", "x" * 100_000]
    script = "import sys, hashlib; print(hashlib.sha256(repr(sys.argv).encode()).hexdigest(), len(sys.argv))"
    command = ["/usr/bin/python3", "-c", script, *odd]
    here = subprocess.run(command, capture_output=True, text=True, check=True)

    assert run_inside(command).output == here.stdout
