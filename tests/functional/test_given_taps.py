"""What a launch record says of taps is checked against the kernel, and the engine direct takes none."""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest

from kwhost.core.model.taps import Tap
from kwhost.net.names import LinkName
from kwhost.net.namespaces import run_inside
from kwhost.net.state import TapOptions
from kwhost.net.tap import VNET_HEADER_SIZE, open_tap
from kwhost.net.wishes import Namespace
from tests.functional.hosted import HostedInstance
from tests.net.namespaces import new_namespace

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

NAME = LinkName("kwt0123456789ab")
_TUNSETIFF = 0x4004_54CA
_IFF_TUN, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 1, 2, 0x1000, 0x4000


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/net/tun")
    with new_namespace() as made:
        yield made


@pytest.fixture
def closing() -> Iterator[Callable[[int], int]]:
    """Has a descriptor closed after the test."""
    with ExitStack() as stack:

        def later(fd: int) -> int:
            stack.callback(os.close, fd)
            return fd

        yield later


def make_tap(*queues: int) -> Tap:
    return Tap(
        name=NAME,
        queues=queues,
        mac="02:00:00:00:00:07",
        mtu=1500,
        header_size=VNET_HEADER_SIZE,
        address4=IPv4Interface("10.88.7.3/24"),
        gateway4=IPv4Address("10.88.7.1"),
        address6=IPv6Interface("fd00::3/64"),
        gateway6=IPv6Address("fd00::1"),
    )


def new_device(flags: int) -> int:
    """A device that is made with other flags than kwhost's."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", NAME.encode(), flags))
    return fd


def refusal(hosted: HostedInstance, tap: Tap) -> str:
    """Why an instance with a tap does not start."""
    hosted.start("/bin/true", taps=(tap,))
    end = hosted.wait()
    assert end.failed_status == 125
    return end.text


def test_the_engine_direct_refuses_a_tap_that_is_as_it_should_be(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int]
) -> None:
    queues = run_inside(namespace, partial(open_tap, NAME, TapOptions(0, True), 2))
    tap = make_tap(*map(closing, queues))

    assert refusal(hosted, tap).startswith(f"the engine direct has no use for the tap {NAME}: ")


def test_a_descriptor_that_is_no_taps_is_refused(
    hosted: HostedInstance, closing: Callable[[int], int]
) -> None:
    read, write = map(closing, os.pipe())

    assert f"descriptor {read} is no queue of the tap {NAME}" in refusal(hosted, make_tap(read, write))


def test_a_tun_device_without_a_name_is_refused(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int]
) -> None:
    opened = closing(run_inside(namespace, lambda: os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)))

    assert f"descriptor {opened} is no queue of the tap {NAME}" in refusal(hosted, make_tap(opened))


def test_another_taps_queue_is_refused(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int]
) -> None:
    [queue] = run_inside(namespace, partial(open_tap, LinkName("other"), TapOptions(0, True), 1))

    assert f"is a queue of other and not of the tap {NAME}" in refusal(hosted, make_tap(closing(queue)))


@pytest.mark.parametrize("flags", [_IFF_TAP | _IFF_NO_PI, _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR])
def test_a_device_with_other_frames_is_refused(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int], flags: int
) -> None:
    queue = closing(run_inside(namespace, partial(new_device, flags)))

    assert f"{NAME} is not in use as a tap with a virtio header" in refusal(hosted, make_tap(queue))


def test_a_header_of_another_size_is_refused(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int]
) -> None:
    [queue] = run_inside(namespace, partial(open_tap, NAME, TapOptions(0, True), 1))
    tap = replace(make_tap(closing(queue)), header_size=10)

    assert f"the tap {NAME} has a virtio header of 12 bytes, not 10" in refusal(hosted, tap)


def test_two_descriptors_of_a_tap_with_one_queue_are_refused(
    hosted: HostedInstance, namespace: Namespace, closing: Callable[[int], int]
) -> None:
    [queue] = run_inside(namespace, partial(open_tap, NAME, TapOptions(0, False), 1))
    tap = make_tap(closing(queue), closing(os.dup(queue)))

    assert f"the tap {NAME} has one queue, not 2" in refusal(hosted, tap)
