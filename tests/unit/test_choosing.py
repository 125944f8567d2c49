"""Which engine an instance gets, and that nobody gets less than its floor."""

import errno
from pathlib import Path

import pytest

from kwhost.core.engines.kvm_device import lacking_kvm
from kwhost.core.errors import KvmError, NotAvailableYet, UsageError
from kwhost.core.model.instance import Engine, Isolation
from kwhost.core.supervise.choosing import advise_without_kvm, choose_engine

WHY = "/dev/kvm does not exist"


def has_kvm() -> str:
    return ""


def lacks_kvm() -> str:
    return WHY


def must_not_ask() -> str:
    raise AssertionError("KVM was looked at, though it decides nothing")


@pytest.mark.parametrize("floor", [Isolation.VM, Isolation.PROCESS])
def test_auto_is_direct_wherever_kvm_can_be_used(floor: Isolation) -> None:
    assert choose_engine(Engine.AUTO, floor, has_kvm) == (Engine.DIRECT, "")


def test_without_kvm_auto_is_process_where_the_floor_allows_it_and_says_so_in_one_line() -> None:
    engine, warning = choose_engine(Engine.AUTO, Isolation.PROCESS, lacks_kvm)

    assert engine is Engine.PROCESS
    assert "without a virtual machine" in warning
    assert warning.endswith(WHY)
    assert "\n" not in warning


def test_auto_is_never_weaker_than_the_floor() -> None:
    assert choose_engine(Engine.AUTO, Isolation.VM, must_not_ask) == (Engine.DIRECT, "")


@pytest.mark.parametrize("engine", [Engine.DIRECT, Engine.PROCESS])
def test_what_is_asked_for_by_name_is_what_runs(engine: Engine) -> None:
    assert choose_engine(engine, Isolation.PROCESS, must_not_ask) == (engine, "")


def test_the_engine_process_needs_the_floor_process_and_the_error_names_both() -> None:
    with pytest.raises(UsageError, match=r"engine 'process'.*least isolation is 'vm'.*--isolation process"):
        choose_engine(Engine.PROCESS, Isolation.VM, must_not_ask)


@pytest.mark.parametrize(
    ("engine", "floor"),
    [
        (Engine.KERNEL, Isolation.VM),
        (Engine.KERNEL, Isolation.PROCESS),
        (Engine.AUTO, Isolation.KERNEL),
        (Engine.DIRECT, Isolation.KERNEL),
        (Engine.PROCESS, Isolation.KERNEL),
    ],
)
def test_the_kernel_of_its_own_is_not_there_yet(engine: Engine, floor: Isolation) -> None:
    with pytest.raises(NotAvailableYet):
        choose_engine(engine, floor, must_not_ask)


def test_a_failure_for_want_of_kvm_names_the_weaker_way_unless_a_machine_was_asked_for() -> None:
    error = KvmError(WHY)

    assert "--isolation process" in str(advise_without_kvm(error, Engine.AUTO))
    assert advise_without_kvm(error, Engine.DIRECT) is error


def test_a_device_that_is_not_there_cannot_be_used(tmp_path: Path) -> None:
    assert "does not exist" in lacking_kvm(str(tmp_path / "kvm"))


def test_a_device_that_is_none_of_kvm_cannot_be_used() -> None:
    assert "is no KVM device" in lacking_kvm("/dev/null")


@pytest.mark.kvm
def test_a_device_that_makes_machines_can_be_used() -> None:
    assert lacking_kvm() == ""


@pytest.mark.kvm
def test_a_device_that_makes_no_machine_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another hypervisor has the processor."""
    from kwhost.core.engines import kvm_device

    def refuse(_: int, request: int, __: int = 0) -> int:
        if request == kvm_device._KVM_CREATE_VM:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return 12

    monkeypatch.setattr("fcntl.ioctl", refuse)

    assert "makes no virtual machine: Device or resource busy" in lacking_kvm()
