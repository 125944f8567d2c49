"""The launch record holds the plan, whatever the plan is."""

import os
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.record import LaunchFds, encode_exec, encode_launch
from kwhost.core.errors import LaunchError
from kwhost.core.model.instance import LaunchPlan, TerminalSize
from kwhost.core.model.mounts import MountFlag
from kwhost.core.model.taps import Tap
from tests.unit.strategies import plans

FDS = LaunchFds(control=7, lifeline=8, kvm=9, stats=10)


def read_text(record: bytes, offset: int) -> str | None:
    if offset == 0:
        return None
    return os.fsdecode(record[offset : record.index(b"\0", offset)])


def read_texts(record: bytes, offset: int, count: int) -> list[str | None]:
    offsets = ffi.from_buffer("uint32_t[]", record[offset : offset + 4 * count])
    return [read_text(record, place) for place in offsets]


def read_header(record: bytes) -> Any:
    header = ffi.new("struct kw_launch *")
    ffi.memmove(header, record, ffi.sizeof("struct kw_launch"))
    return header


@given(plans, st.integers(0, 2**63))
def test_reading_the_record_back_gives_the_plan(plan: LaunchPlan, started_ns: int) -> None:
    record = encode_launch(plan, FDS, started_ns)
    header = read_header(record)

    assert (header.magic, header.version, header.size) == (
        lib.KW_LAUNCH_MAGIC,
        lib.KW_ABI_VERSION,
        len(record),
    )
    assert ffi.string(header.name).decode() == plan.name
    assert read_texts(record, header.argv_offset, header.argc) == list(plan.argv)
    environment = [f"{key}={value}" for key, value in plan.environment.items()]
    assert read_texts(record, header.env_offset, header.envc) == environment
    assert read_text(record, header.workdir_offset) == plan.workdir
    assert tuple(header.groups[0 : header.group_count]) == plan.identity.groups
    assert bool(header.flags & lib.KW_LAUNCH_TTY) == (plan.terminal is not None)
    assert bool(header.flags & lib.KW_LAUNCH_READ_ONLY) == plan.read_only
    assert (header.control_fd, header.lifeline_fd, header.kvm_fd, header.stats_fd) == (7, 8, 9, 10)
    assert header.started_ns == started_ns
    assert bool(header.flags & lib.KW_LAUNCH_HOSTED) == plan.hosted
    assert bool(header.flags & lib.KW_LAUNCH_NETWORK) == plan.waits_for_network
    assert (header.log_size, header.log_files) == plan.log
    assert (header.pids_limit, header.memory_limit, header.resident_limit) == plan.limits


def test_every_descriptor_has_its_place(plan: LaunchPlan) -> None:
    fds = LaunchFds(
        control=-1,
        lifeline=-1,
        kvm=9,
        stats=10,
        lease=11,
        listen=12,
        log_dir=13,
        exit=14,
        cgroups=(15, 16),
        guest_cgroups=(17, 19),
        counted_cgroup=19,
        netns=18,
        secrets=20,
        attached=True,
    )

    header = read_header(encode_launch(plan, fds, 0))

    assert (header.control_fd, header.lifeline_fd, header.lease_fd) == (-1, -1, 11)
    assert (header.listen_fd, header.log_dir_fd, header.exit_fd) == (12, 13, 14)
    assert list(header.cgroup_fds) == [15, 16, *[-1] * 14]
    assert list(header.guest_cgroup_fds) == [17, 19, *[-1] * 14]
    assert header.counted_cgroup == 2
    assert (header.netns_fd, header.secrets_fd) == (18, 20)
    assert header.flags & lib.KW_LAUNCH_ATTACHED
    assert set(fds.inherited()) == set(range(9, 21))


def make_tap(*queues: int) -> Tap:
    return Tap(
        name="kwt0123456789ab",
        queues=queues,
        mac="02:00:00:00:00:07",
        mtu=1400,
        header_size=12,
        address4=IPv4Interface("10.88.7.3/24"),
        gateway4=IPv4Address("10.88.7.1"),
        address6=IPv6Interface("fd00::3/64"),
        gateway6=IPv6Address("fd00::1"),
    )


def test_taps_are_read_back_with_their_queues(plan: LaunchPlan) -> None:
    fds = FDS._replace(taps=(make_tap(20, 21), make_tap(22)))

    record = encode_launch(plan, fds, 0)
    header, size = read_header(record), ffi.sizeof("struct kw_tap")
    taps = ffi.new("struct kw_tap[2]")
    ffi.memmove(taps, record[header.taps_offset :], 2 * size)

    assert (header.tap_count, header.taps_offset % 4) == (2, 0)
    assert [list(tap.queue_fds)[: tap.queue_count] for tap in taps] == [[20, 21], [22]]
    assert set(taps[1].queue_fds[1 : lib.KW_TAP_QUEUES_MAX]) == {-1}
    assert {20, 21, 22} < set(fds.inherited())
    first = taps[0]
    assert (ffi.string(first.name), bytes(first.mac)) == (b"kwt0123456789ab", bytes((2, 0, 0, 0, 0, 7)))
    assert (first.header_size, first.mtu, first.prefix4, first.prefix6) == (12, 1400, 24, 64)
    assert (bytes(first.address4), bytes(first.gateway4)) == (bytes((10, 88, 7, 3)), bytes((10, 88, 7, 1)))
    assert bytes(first.address6) == IPv6Address("fd00::3").packed
    assert bytes(first.gateway6) == IPv6Address("fd00::1").packed


@pytest.mark.parametrize("taps", [(make_tap(20),) * 5, (make_tap(),), (make_tap(*range(20, 29)),)])
def test_too_many_taps_and_queues_are_refused(plan: LaunchPlan, taps: tuple[Tap, ...]) -> None:
    with pytest.raises(LaunchError, match=r"taps are more than|queues, and not"):
        encode_launch(plan, FDS._replace(taps=taps), 0)


def test_too_many_cgroups_are_refused(plan: LaunchPlan) -> None:
    with pytest.raises(LaunchError, match="cgroups"):
        encode_launch(plan, FDS._replace(cgroups=tuple(range(20, 37))), 0)


@given(plans)
def test_a_record_for_exec_names_the_program_and_nothing_of_the_instance(plan: LaunchPlan) -> None:
    record = encode_exec(
        plan.argv,
        environment=plan.environment,
        workdir=plan.workdir,
        identity=plan.identity,
        terminal=TerminalSize(rows=30, columns=100),
        interactive=True,
        started_ns=7,
    )
    header = read_header(record)

    assert (header.magic, header.size, header.started_ns) == (lib.KW_LAUNCH_MAGIC, len(record), 7)
    assert header.flags == lib.KW_LAUNCH_EXEC | lib.KW_LAUNCH_TTY | lib.KW_LAUNCH_STDIN
    assert read_texts(record, header.argv_offset, header.argc) == list(plan.argv)
    assert read_text(record, header.workdir_offset) == plan.workdir
    assert (header.uid, header.gid) == (plan.identity.uid, plan.identity.gid)
    assert tuple(header.groups[0 : header.group_count]) == plan.identity.groups
    assert (header.tty_rows, header.tty_columns) == (30, 100)
    assert header.mount_count == 0
    assert {header.kvm_fd, header.stats_fd, header.control_fd, *header.guest_cgroup_fds} == {-1}


@given(plans)
def test_mounts_are_read_back_in_order(plan: LaunchPlan) -> None:
    record = encode_launch(plan, FDS, 0)
    header = read_header(record)
    size = ffi.sizeof("struct kw_mount")

    assert header.mounts_offset % 4 == 0
    for index, mount in enumerate(plan.mounts):
        start = header.mounts_offset + index * size
        found = ffi.new("struct kw_mount *")
        ffi.memmove(found, record[start : start + size], size)
        assert found.kind == getattr(lib, f"KW_MOUNT_{mount.kind.name}")
        assert read_text(record, found.target_offset) == mount.target
        assert read_text(record, found.source_offset) == mount.source
        assert read_text(record, found.data_offset) == mount.data
        assert found.mode == mount.mode
        assert bool(found.flags & lib.KW_MOUNT_READ_ONLY) == (MountFlag.READ_ONLY in mount.flags)


def test_nul_in_an_argument_is_refused(plan: LaunchPlan) -> None:
    with pytest.raises(LaunchError, match="NUL"):
        encode_launch(replace(plan, argv=("a\0b",)), FDS, 0)


def test_arguments_beyond_the_kernels_limits_are_refused(plan: LaunchPlan) -> None:
    for argv in (("x" * (128 * 1024),), ("x" * 100_000,) * 30):
        with pytest.raises(LaunchError, match="too long") as caught:
            encode_launch(replace(plan, argv=argv), FDS, 0)
        assert caught.value.exit_status == 125


def test_too_many_groups_are_refused(plan: LaunchPlan) -> None:
    identity = plan.identity._replace(groups=tuple(range(40)))
    with pytest.raises(LaunchError, match="groups"):
        encode_launch(replace(plan, identity=identity), FDS, 0)


def replace(record: Any, **changes: Any) -> Any:
    import dataclasses

    return dataclasses.replace(record, **changes)


@pytest.fixture
def plan() -> LaunchPlan:
    from tests.unit.builders import make_plan

    return make_plan()
