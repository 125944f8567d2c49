"""What the kernel refuses becomes one line that names the operation, the device and what is missing."""

import errno

import pytest

from kwhost.net.names import LinkKind, LinkName
from kwhost.net.netlink import NetlinkError, failure, ignoring
from kwhost.net.state import Link
from kwhost.net.steps import AddLink, LimitRate, Redirect, Step, needs_of

NAME = LinkName("kwb0123456789ab")
MIRROR = LinkName("kwi0123456789ab")


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        (AddLink(Link(name=NAME, kind=LinkKind.BRIDGE, mtu=1500)), "CONFIG_BRIDGE"),
        (AddLink(Link(name=NAME, kind=LinkKind.MIRROR, mtu=1500)), "CONFIG_IFB"),
        (LimitRate(NAME, 8000), "CONFIG_NET_SCH_TBF"),
        (Redirect(NAME, MIRROR), "CONFIG_NET_ACT_MIRRED"),
    ],
)
def test_what_the_kernel_lacks_is_named(step: Step, missing: str) -> None:
    text = str(failure(str(step), NetlinkError(errno.EOPNOTSUPP), needs_of(step)))

    assert text.startswith(f"cannot {step}: Operation not supported (this needs ")
    assert missing in text
    assert NAME in text


def test_another_failure_is_not_blamed_on_the_kernel() -> None:
    step = LimitRate(NAME, 8000)

    text = str(failure(str(step), NetlinkError(errno.EPERM), needs_of(step)))

    assert text == f"cannot limit {NAME} to 8000 bit/s: Operation not permitted"


def test_only_expected_failures_are_ignored() -> None:
    with ignoring(errno.EEXIST):
        raise NetlinkError(errno.EEXIST)
    with pytest.raises(NetlinkError), ignoring(errno.EEXIST):
        raise NetlinkError(errno.EPERM)
