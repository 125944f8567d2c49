"""What cannot be run: one clear line, the status that shells use, nothing left behind."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from kwhost.core.cli.main import main
from kwhost.core.engines.kernel_version import check_kernel
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.errors import HostError, KvmError
from tests.conftest import RunKwhost


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    assert text.startswith("kwhost: ")
    return text


@pytest.mark.kvm
@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "./nothing"])
def test_a_missing_program_is_127(run_kwhost: RunKwhost, program: str) -> None:
    done = run_kwhost(["--", program])

    assert done.returncode == 127
    assert program in one_line(done.stderr)


ELF64 = bytes([0x7F, *b"ELF", 2, 1, 1, 0]) + bytes(8)


@pytest.mark.kvm
@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (b"#!/bin/sh\n", 0o644),
        (b"not a program", 0o755),
        (b"", 0o755),
        (ELF64[:10], 0o755),
        (b"\x7fELF\x01\x01\x01" + bytes(60), 0o755),
        (ELF64 + bytes([2, 0, 0xB7, 0]) + bytes(60), 0o755),
        (ELF64 + bytes([2, 0, 0x3E, 0]) + b"\xff" * 44, 0o755),
        (b"#!/no/such/interpreter\n", 0o755),
    ],
    ids=["mode", "text", "empty", "truncated", "32-bit", "arm64", "nonsense", "interpreter"],
)
def test_what_is_no_program_is_126_with_the_reason(
    run_kwhost: RunKwhost, tmp_path: Path, content: bytes, mode: int
) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(mode)

    done = run_kwhost(["-v", f"{tmp_path}:/given:ro", "--", "/given/program"])

    assert done.returncode in ((126, 127) if b"interpreter" in content else (126,))
    assert len(one_line(done.stderr)) > len("kwhost: /given/program: \n")


@pytest.mark.kvm
def test_as_many_arguments_as_linux_takes_are_passed_on(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--", "sh", "-c", "echo $#", *["x" * 100_000] * 15])

    assert (done.returncode, done.stdout) == (0, "14\n")


@pytest.mark.kvm
def test_more_is_125(run_kwhost: RunKwhost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--", "true", *["x" * 100_000] * 25]) == 125
    assert "too long" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "options",
    [
        ["--rootfs", "/no/such/directory"],
        ["--rootfs", "/etc/passwd"],
        ["--rootfs", "/"],
        ["-v", "/no/such/file:/x"],
        ["-u", "no-such-user"],
        ["-u", "99999"],
        ["-w", "relative"],
        ["--image", "debian:12"],
        ["--engine", "kernel"],
        ["--engine", "process"],
        ["--isolation", "kernel"],
        ["-it"],
    ],
)
def test_impossible_options_are_125(run_kwhost: RunKwhost, options: list[str]) -> None:
    done = run_kwhost([*options, "--", "true"])

    assert done.returncode == 125
    one_line(done.stderr)


def test_no_kvm_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(open_kvm, "__defaults__", (str(tmp_path / "kvm"),))
    monkeypatch.setattr("kwhost.core.engines.id_ranges._LOCK_FILE", tmp_path / "lock")

    assert main(["run", "--", "true"]) == 125
    assert "modprobe" in one_line(capsys.readouterr().err)


def test_a_device_that_is_not_kvm(tmp_path: Path) -> None:
    with pytest.raises(KvmError, match="no KVM device"):
        open_kvm("/dev/null")
    with pytest.raises(KvmError, match="cannot open"):
        open_kvm(str(tmp_path))


def test_no_permission_on_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KvmError, match="no permission"):
        open_kvm()


@pytest.mark.parametrize(
    ("release", "fine"), [("6.1.0-28-amd64", True), ("6.18", True), ("5.10.0", False), ("x", False)]
)
def test_kernels_that_are_too_old(release: str, fine: bool) -> None:
    if fine:
        check_kernel(release)
    else:
        with pytest.raises(HostError, match=r"6\.1"):
            check_kernel(release)


def test_too_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    from kwhost.core.supervise.planning import descriptor_limit

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1024))
    with pytest.raises(HostError, match="ulimit"):
        descriptor_limit()


@pytest.mark.parametrize("arguments", [["doctor"], ["--help"], ["run", "--help"]])
def test_a_result_that_cannot_be_written_is_an_error(kwhost_command: list[str], arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*kwhost_command, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 125
    assert "cannot write standard output: No space left on device" in one_line(done.stderr)


@pytest.mark.kvm
def test_a_programs_output_is_not_lost_in_silence(kwhost_command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*kwhost_command, "run", "--", "echo", "lost"],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert "the program's output was lost: no space left on device" in one_line(done.stderr)
