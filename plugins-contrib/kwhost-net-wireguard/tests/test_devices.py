"""From the devices that are to those that shall be, in steps."""

from dataclasses import replace
from ipaddress import ip_address

from kwhost.core.model.ids import TenantName
from kwhost.net.names import LINK_NAME_MAX, kind_of, owner_of

from kwhost_net_wireguard.configuration import Endpoint
from kwhost_net_wireguard.devices import (
    AddDevice,
    ChangeKeys,
    ChangeLink,
    Device,
    Host,
    RemoveDevice,
    RemovePeer,
    SetPeer,
    device_name,
    is_device_name,
    steps,
)
from kwhost_net_wireguard.keys import Key

ONE, TWO, OWN = Key("one"), Key("two"), Key("own")
HERE, THERE = Endpoint(ip_address("192.0.2.1"), 1), Endpoint(ip_address("192.0.2.2"), 2)
HOST = Host(endpoint=HERE, subnets=frozenset({"10.1.0.0/24"}))
DEVICE = Device(
    name="kww0", label="acme", group=2, mtu=1420, private_key=OWN, listen_port=5, peers={ONE: HOST}
)
TOLD = {("kww0", ONE): HERE}


def test_a_name_fits_and_is_none_of_kwhosts_own() -> None:
    names = {
        device_name(owner_of(directory), TenantName(tenant))
        for directory in ("/a", "/b")
        for tenant in ("acme", "globex")
    }

    assert len(names) == 4
    for name in names:
        assert len(name) <= LINK_NAME_MAX
        assert is_device_name(name)
        assert kind_of(name) is None


def test_other_names_are_others() -> None:
    for name in ("kww", "kww0123456789a", "kww0123456789abc", "kwb0123456789ab", "kww0123456789xy", "wg0"):
        assert not is_device_name(name)


def test_nothing_is_done_where_all_is_as_wanted() -> None:
    assert tuple(steps((DEVICE,), {"kww0": DEVICE}, TOLD)) == ()


def test_a_new_device_gets_everything() -> None:
    assert tuple(steps((DEVICE,), {}, {})) == (
        AddDevice(DEVICE),
        ChangeLink(DEVICE),
        ChangeKeys(DEVICE),
        SetPeer("kww0", ONE, HOST),
    )


def test_what_nobody_wants_goes_first() -> None:
    other = replace(DEVICE, name="kww1", peers={ONE: HOST, TWO: replace(HOST, subnets=frozenset())})

    done = tuple(steps((replace(other, peers={ONE: HOST}),), {"kww0": DEVICE, "kww1": other}, {}))

    assert done == (RemoveDevice("kww0"), RemovePeer("kww1", TWO))


def test_each_difference_is_one_step() -> None:
    for changes, kind in (
        ({"mtu": 1300}, ChangeLink),
        ({"label": "x"}, ChangeLink),
        ({"group": 3}, ChangeLink),
        ({"listen_port": 6}, ChangeKeys),
        ({"private_key": TWO}, ChangeKeys),
        ({"peers": {}}, SetPeer),
        ({"peers": {ONE: replace(HOST, keepalive=3)}}, SetPeer),
        ({"peers": {ONE: replace(HOST, preshared_key=TWO)}}, SetPeer),
        ({"peers": {ONE: replace(HOST, subnets=frozenset())}}, SetPeer),
    ):
        found = replace(DEVICE, **changes)
        assert [type(step) for step in steps((DEVICE,), {"kww0": found}, TOLD)] == [kind]


def test_a_peer_that_moved_is_left_where_it_is() -> None:
    moved = replace(DEVICE, peers={ONE: replace(HOST, endpoint=THERE)})

    assert tuple(steps((DEVICE,), {"kww0": moved}, TOLD)) == ()


def test_a_moved_peer_is_repaired_without_its_endpoint() -> None:
    moved = replace(DEVICE, peers={ONE: replace(HOST, endpoint=THERE, keepalive=9)})

    assert tuple(steps((DEVICE,), {"kww0": moved}, TOLD)) == (
        SetPeer("kww0", ONE, replace(HOST, endpoint=None)),
    )


def test_a_new_endpoint_is_told_and_so_is_one_of_a_new_process() -> None:
    changed = replace(DEVICE, peers={ONE: replace(HOST, endpoint=THERE)})

    assert tuple(steps((changed,), {"kww0": DEVICE}, TOLD)) == (SetPeer("kww0", ONE, changed.peers[ONE]),)
    assert tuple(steps((DEVICE,), {"kww0": changed}, {})) == (SetPeer("kww0", ONE, HOST),)


def test_no_step_shows_a_private_key() -> None:
    secret = replace(
        DEVICE, private_key=Key("secret"), peers={ONE: replace(HOST, preshared_key=Key("secret"))}
    )
    for step in steps((secret,), {}, {}):
        assert "secret" not in f"{step} {step!r}"
