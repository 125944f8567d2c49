"""`kwhost doctor --security` judges trees of the kernel's files."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.cli.doctor import format_security
from kwhost.core.hostcheck.security.check import check_security
from kwhost.core.hostcheck.security.concern import Concern, State, to_do

TODAY = date(2026, 1, 1)
CPU = "sys/devices/system/cpu"
FLAWS = f"{CPU}/vulnerabilities"
KSM = "sys/kernel/mm/ksm/run"
KERNEL = "proc/sys/kernel"
PARAMETERS = "sys/module/kvm/parameters"
SWAPS = "Filename Type Size Used Priority\n"

GOOD = {
    f"{CPU}/smt/active": "0\n",
    f"{CPU}/smt/control": "off\n",
    f"{FLAWS}/l1tf": "Not affected\n",
    f"{FLAWS}/mds": "Mitigation: Clear CPU buffers; SMT disabled\n",
    f"{FLAWS}/itlb_multihit": "KVM: Mitigation: Split huge pages\n",
    "proc/cmdline": "root=/dev/vda mitigations=auto,nosmt quiet\n",
    "proc/cpuinfo": "microcode\t: 0xf0\nflags\t: fpu\n\nmicrocode\t: 0xf0\nflags\t: fpu\n",
    "proc/version": "Linux version 6.1.0 (x@y) #1 SMP PREEMPT_DYNAMIC Debian 6.1.1-1 (2025-12-01)\n",
    KSM: "0\n",
    "proc/self/ksm_stat": "ksm_rmap_items 0\nksm_merge_any: no\n",
    "proc/swaps": SWAPS,
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    "sys/kernel/security/lsm": "capability,landlock,yama\n",
    f"{KERNEL}/unprivileged_userns_clone": "0\n",
    f"{KERNEL}/unprivileged_bpf_disabled": "2\n",
    f"{KERNEL}/kptr_restrict": "1\n",
    f"{KERNEL}/dmesg_restrict": "1\n",
    f"{KERNEL}/yama/ptrace_scope": "1\n",
    f"{KERNEL}/randomize_va_space": "2\n",
    f"{KERNEL}/perf_event_paranoid": "3\n",
    f"{KERNEL}/core_pattern": "|/usr/lib/systemd/systemd-coredump %P\n",
    f"{KERNEL}/seccomp/actions_avail": "kill_process kill_thread trap errno allow\n",
    "proc/sys/vm/unprivileged_userfaultfd": "0\n",
    "proc/sys/fs/suid_dumpable": "0\n",
    f"{PARAMETERS}/nx_huge_pages": "Y\n",
    f"{PARAMETERS}/enable_vmware_backdoor": "N\n",
    f"{PARAMETERS}/force_emulation_prefix": "0\n",
    "sys/module/kvm_intel/parameters/nested": "N\n",
    "sys/module/kvm_intel/parameters/vmentry_l1d_flush": "cond\n",
    "dev/kvm": "",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if (root / "dev/kvm").exists():
        (root / "dev/kvm").chmod(0o660)
    return root


def check(root: Path, landlock: int = 4) -> list[Concern]:
    return check_security(root, landlock=landlock, today=TODAY)


def named(concerns: list[Concern], name: str) -> Concern:
    [found] = [concern for concern in concerns if concern.name == name]
    return found


def test_a_host_in_order_has_nothing_to_do(tmp_path: Path) -> None:
    concerns = check(tree(tmp_path, GOOD))

    assert {concern.name: concern.seen for concern in concerns if concern.state is not State.OK} == {}
    assert format_security(concerns).endswith("\nnothing to do\n")


@pytest.mark.parametrize(
    ("path", "text", "name", "seen"),
    [
        (f"{CPU}/smt/active", "1\n", "SMT", "on (control: off)"),
        (f"{FLAWS}/mds", "Vulnerable\n", "processor flaw mds", "Vulnerable"),
        (
            f"{FLAWS}/mds",
            "Mitigation: Clear CPU buffers; SMT vulnerable\n",
            "processor flaw mds",
            "Mitigation: Clear CPU buffers; SMT vulnerable",
        ),
        (f"{FLAWS}/srbds", "Unknown: No mitigations\n", "processor flaw srbds", "Unknown: No mitigations"),
        ("proc/cmdline", "quiet mitigations=off\n", "mitigations", "switched off: mitigations=off"),
        ("proc/cmdline", "nopti mds=full\n", "mitigations", "switched off: nopti"),
        (
            "proc/cmdline",
            "mitigations=auto,no_guest_host\n",
            "mitigations",
            "switched off: mitigations=auto,no_guest_host",
        ),
        ("proc/cpuinfo", "microcode : 0x1\nmicrocode : 0x2\n", "microcode", "revision 0x1, 0x2"),
        (KSM, "1\n", "page merging (KSM)", "runs, for programs that ask for it"),
        (
            "proc/swaps",
            f"{SWAPS}/dev/vda2 partition 1 0 -2\n",
            "swap",
            "/dev/vda2: not known to be encrypted",
        ),
        ("proc/swaps", f"{SWAPS}/swap\\040file file 1 0 -2\n", "swap", None),
        ("sys/kernel/security/lockdown", "[none] integrity\n", "kernel lockdown", "none"),
        (f"{KERNEL}/unprivileged_userns_clone", "1\n", "user namespaces of ordinary users", "allowed"),
        (f"{KERNEL}/unprivileged_bpf_disabled", "0\n", "kernel.unprivileged_bpf_disabled", "0"),
        (f"{KERNEL}/kptr_restrict", "0\n", "kernel.kptr_restrict", "0"),
        (f"{KERNEL}/dmesg_restrict", "0\n", "kernel.dmesg_restrict", "0"),
        (f"{KERNEL}/yama/ptrace_scope", "0\n", "kernel.yama.ptrace_scope", "0"),
        (f"{KERNEL}/perf_event_paranoid", "-1\n", "kernel.perf_event_paranoid", "-1"),
        ("proc/sys/fs/suid_dumpable", "2\n", "core dumps", None),
        (f"{KERNEL}/seccomp/actions_avail", "allow\n", "seccomp", "filters can allow"),
        (f"{PARAMETERS}/nx_huge_pages", "never\n", "kvm.nx_huge_pages", None),
        (
            f"{PARAMETERS}/force_emulation_prefix",
            "Y\n",
            "KVM's emulator",
            "open to programs: force_emulation_prefix",
        ),
        (
            "sys/module/kvm_intel/parameters/nested",
            "Y\n",
            "nested virtualization",
            "kvm_intel offers it",
        ),
        (
            "proc/version",
            "Linux version 6.1.0 #1 SMP Thu May 2 12:00:00 UTC 2024\n",
            "kernel age",
            "built on 2024-05-02, 609 days ago",
        ),
    ],
)
def test_each_risk_comes_with_advice(
    tmp_path: Path, path: str, text: str, name: str, seen: str | None
) -> None:
    concerns = check(tree(tmp_path, GOOD | {path: text}))

    [concern] = to_do(concerns)
    assert concern.name == name
    assert seen in (None, concern.seen)
    assert concern.risk
    assert concern.advice
    assert f"-> {concern.advice}" in format_security(concerns)


@pytest.mark.parametrize(
    ("text", "files", "state"),
    [
        ("/dev/zram0 partition", {}, State.OK),
        ("/dev/zram0 partition", {"sys/block/zram0/backing_dev": "none\n"}, State.OK),
        ("/dev/zram0 partition", {"sys/block/zram0/backing_dev": "/dev/vdb\n"}, State.RISK),
        ("/dev/dm-3 partition", {"sys/block/dm-3/dm/uuid": "CRYPT-PLAIN-swap\n"}, State.OK),
        ("/dev/dm-3 partition", {"sys/block/dm-3/dm/uuid": "LVM-x\n"}, State.RISK),
        (
            "/dev/mapper/swap partition",
            {"sys/block/dm-1/dm/name": "swap\n", "sys/block/dm-1/dm/uuid": "CRYPT-PLAIN-swap\n"},
            State.OK,
        ),
    ],
)
def test_swap_is_fine_in_memory_or_encrypted(
    tmp_path: Path, text: str, files: dict[str, str], state: State
) -> None:
    root = tree(tmp_path, GOOD | files | {"proc/swaps": f"{SWAPS}{text} 1 0 -2\n"})

    assert named(check(root), "swap").state is state


def test_everybodys_kvm_is_a_risk(tmp_path: Path) -> None:
    root = tree(tmp_path, GOOD)
    (root / "dev/kvm").chmod(0o666)

    assert [(concern.name, concern.seen) for concern in to_do(check(root))] == [("/dev/kvm", "mode 0666")]


@pytest.mark.parametrize("version", [0, 1])
def test_landlock_has_to_be_there(tmp_path: Path, version: int) -> None:
    assert [concern.name for concern in to_do(check(tree(tmp_path, GOOD), version))] == ["Landlock"]


def test_a_virtual_machine_cannot_tell_what_is_below_it(tmp_path: Path) -> None:
    concerns = check(tree(tmp_path, GOOD | {"proc/cpuinfo": "microcode : 0x1\nflags : fpu hypervisor\n"}))

    assert [concern.name for concern in concerns if concern.state is State.UNKNOWN] == ["SMT", "microcode"]
    assert to_do(concerns) == []


def test_what_is_not_there_is_unknown_not_fine(tmp_path: Path) -> None:
    concerns = check(tmp_path)

    fine = {concern.name for concern in concerns if concern.state is State.OK}
    assert fine == {"Landlock", "page merging (KSM)"}  # its version is told; no file: the kernel has none
    assert {concern.name for concern in to_do(concerns)} == {"seccomp"}


def test_directories_pipes_and_loops_in_place_of_files_do_no_harm(tmp_path: Path) -> None:
    for number, name in enumerate(sorted(GOOD)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 3 == 0:
            path.mkdir()
        elif number % 3 == 1:
            os.mkfifo(path)
        else:
            path.symlink_to(path.name)

    assert len(check(tmp_path)) > 20


def test_nothing_that_a_terminal_acts_on_is_shown(tmp_path: Path) -> None:
    nasty = "\x1b]0;title\x07\x9b31m\r\n" * 10_000
    files = dict.fromkeys(GOOD, nasty) | {"proc/swaps": f"{SWAPS}/dev/\x1b[2J partition 1 0 1\n"}

    report = format_security(check(tree(tmp_path, files)))

    assert all(letter.isprintable() or letter == "\n" for letter in report)
    assert max(map(len, report.splitlines())) < 500


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_no_content_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    root = tmp_path_factory.mktemp("host")
    for number, name in enumerate(GOOD):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(contents[number % len(contents)])

    format_security(check(root))
