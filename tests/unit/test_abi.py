"""Python's names for what the ABI header defines exist in it, and C agrees with cffi on the layout."""

import subprocess
from pathlib import Path

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.call_names import call_name
from kwhost.core.model.mounts import MountFlag, MountKind
from kwhost.core.model.taps import TAP_QUEUES_MAX

STRUCTURES = (
    *("kw_launch", "kw_mount", "kw_tap", "kw_message", "kw_exit", "kw_call_stats", "kw_stats"),
    *("kw_policy", "kw_policy_layer", "kw_policy_call", "kw_policy_arguments", "kw_policy_condition"),
    *("kw_policy_path", "kw_policy_network", "kw_policy_rate", "kw_policy_verdict"),
    *("kw_policy_table", "kw_policy_shared", "kw_policy_count", "kw_policy_event"),
    *("kw_policy_question", "kw_policy_asked", "kw_policy_answer"),
    *("kw_forward_port", "kw_forward_target", "kw_forward_counts", "kw_forward_end", "kw_forward_message"),
)


def test_every_mount_kind_and_flag_is_in_the_header() -> None:
    kinds = [getattr(lib, f"KW_MOUNT_{kind.name}") for kind in MountKind]
    flags = [getattr(lib, f"KW_MOUNT_{flag.name}") for flag in MountFlag]

    assert len(set(kinds)) == len(kinds)
    assert all(flag & flag - 1 == 0 for flag in flags)


def test_c_and_cffi_agree_on_every_offset(tmp_path: Path, project: Path) -> None:
    places = [
        (structure, field)
        for structure in STRUCTURES
        for field, _ in ffi.typeof(f"struct {structure}").fields
    ]
    prints = "".join(
        f'printf("%zu\\n", __builtin_offsetof(struct {structure}, {field}));' for structure, field in places
    )
    prints += "".join(f'printf("%zu\\n", sizeof(struct {structure}));' for structure in STRUCTURES)
    source = tmp_path / "layout.c"
    source.write_text(
        f'#include <stdio.h>\n#include "abi/kw_policy.h"\n'
        f'#include "../net/forward/protocol.h"\nint main(void) {{ {prints} }}\n'
    )
    subprocess.run(["gcc", "-I", project / "kwhost/monitor", source, "-o", tmp_path / "layout"], check=True)
    printed = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout

    expected = [ffi.offsetof(f"struct {structure}", field) for structure, field in places]
    expected += [ffi.sizeof(f"struct {structure}") for structure in STRUCTURES]
    assert [int(line) for line in printed.split()] == expected


def test_those_without_the_abi_know_how_many_queues_a_tap_may_have() -> None:
    assert TAP_QUEUES_MAX == lib.KW_TAP_QUEUES_MAX


def test_system_calls_have_the_kernels_names() -> None:
    assert (call_name(0), call_name(59), call_name(231)) == ("read", "execve", "exit_group")
    assert call_name(511) == "call_511"
