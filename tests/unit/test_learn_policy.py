"""Learning: rules on calls and the network, and the text of the policy."""

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kwhost.core.abi._abi import lib
from kwhost.core.abi.learn_memory import Note, NoteKind, Notes
from kwhost.core.errors import LimitError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Direction, Protocol
from kwhost.core.policy.evaluate import AddressUse, Call, decide
from kwhost.core.policy.learn.calls import ALWAYS, call_rules
from kwhost.core.policy.learn.network import network_rules
from kwhost.core.policy.learn.observed import NOTED_ARGUMENTS, Observed, Refusal, Seen, SeenAddress
from kwhost.core.policy.learn.policy import learn_policy
from kwhost.core.policy.learn.text import quote, write_calls, write_files, write_head, write_network
from kwhost.core.policy.library import built_in, read_policy_file
from kwhost.core.policy.model import Action, Layer, Policy
from kwhost.core.policy.sets import set_members
from tests.unit.learning_parts import granted, notes

DEFAULT = built_in().find("default")
CONNECT = frozenset((Seen("connect"),))
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97


def policy_of(
    *calls: Seen, addresses: tuple[SeenAddress, ...] = (), refusals: tuple[Refusal, ...] = ()
) -> Policy:
    """What is learnt, as it is read from its text."""
    observed = Observed(
        calls=frozenset(calls), paths={}, above={}, addresses=frozenset(addresses), refusals=refusals
    )
    text = (
        write_head(["true"], "default", refusals)
        + write_files(())
        + write_network(network_rules(observed))
        + write_calls(call_rules(observed, DEFAULT))
    )
    return read_policy_file(Path("learnt.toml"), text.encode())


def becomes(policy: Policy, call: Call) -> str:
    decision = decide([Layer("instance", policy)], call)
    return "allow" if decision.action is Action.ALLOW else f"{decision.action.value}:{decision.errno}"


def to(address: str, port: int, protocol: Protocol = Protocol.TCP) -> SeenAddress:
    return SeenAddress("connect", False, ip_address(address), port, protocol)


def listens(call: str, port: int, protocol: Protocol = Protocol.TCP) -> SeenAddress:
    return SeenAddress(call, True, ip_address("0.0.0.0"), port, protocol)


def reaches(policy: Policy, address: str, port: int, direction: Direction = Direction.TO) -> bool:
    use = AddressUse(direction, ip_address(address), port, Protocol.TCP)
    return becomes(policy, Call("connect", addresses=(use,))) == "allow"


def test_what_was_called_is_allowed_and_nothing_else() -> None:
    policy = policy_of(Seen("read"), Seen("mkdir"))

    allowed = {call for call in CALLS if becomes(policy, Call(call)) == "allow"}

    assert allowed == {"read", "mkdir"} | ALWAYS


def test_a_call_is_allowed_with_the_arguments_that_it_had() -> None:
    policy = policy_of(Seen("ioctl", (0x5401,)), Seen("ioctl", (0x5413,)), Seen("ioctl", (0x99,)))

    made = [becomes(policy, Call("ioctl", (0, request))) for request in (0x5401, 0x5413, 0x99, 0x5412)]

    assert made == ["allow", "allow", "allow", "errno:1"]


def test_sockets_are_allowed_by_family_type_and_protocol() -> None:
    policy = policy_of(Seen("socket", (1, 1, 0)), Seen("socket", (2, 2, 17)))

    combinations = {
        (family, kind, protocol): becomes(policy, Call("socket", (family, kind | 0x80800, protocol)))
        for family in (1, 2)
        for kind in (1, 2)
        for protocol in (0, 17)
    }

    assert [each for each, made in combinations.items() if made == "allow"] == [(1, 1, 0), (2, 2, 17)]


def test_threads_alone_do_not_allow_processes() -> None:
    thread, process, namespace = 0x3D0F00, 0x1200011, 0x3D0F00 | 0x10000000
    policy = policy_of(Seen("clone", (thread,)))

    assert [becomes(policy, Call("clone", (flags,))) for flags in (thread, process, namespace)] == [
        "allow",
        "errno:1",
        "errno:1",
    ]


def test_every_noted_value_can_be_written() -> None:
    values = (0, 1, 7, 0x20, 0x1234, 0xFFFF_FFFF)
    seen = [
        Seen(call, tuple(value & mask for _, mask in noted))
        for call, noted in NOTED_ARGUMENTS.items()
        for value in values
    ]

    policy = policy_of(*seen)

    for each in seen:
        arguments = [0] * 6
        for (number, _), value in zip(NOTED_ARGUMENTS[each.call], each.values, strict=True):
            arguments[number] = value
        assert becomes(policy, Call(each.call, tuple(arguments))) == "allow", each


def test_a_set_stands_for_its_calls_only_when_all_were_made() -> None:
    chown = set_members("@chown")

    assert "@chown" in call_rules(observed_calls(chown), DEFAULT).allowed
    assert "@chown" not in call_rules(observed_calls(chown - {"chown"}), DEFAULT).allowed


def observed_calls(names: frozenset[str]) -> Observed:
    return Observed(calls=frozenset(map(Seen, names)), paths={}, above={})


def test_what_was_refused_keeps_its_error() -> None:
    policy = policy_of(
        refusals=(
            Refusal(Seen("rseq"), ENOSYS, ""),
            Refusal(Seen("mount"), EPERM, ""),
            Refusal(Seen("socket", (17, 3, 0)), EAFNOSUPPORT, ""),
            Refusal(Seen("openat"), ENOSYS, "/etc/shadow"),
        )
    )

    assert becomes(policy, Call("rseq")) == "errno:38"
    assert becomes(policy, Call("mount")) == "errno:1"
    assert becomes(policy, Call("socket", (17, 3, 0))) == "errno:97"
    assert becomes(policy, Call("socket", (16, 3, 0))) == "errno:1"
    assert becomes(policy, Call("openat")) == "errno:1"


def test_destinations_are_exact() -> None:
    policy = policy_of(*CONNECT, addresses=(to("192.0.2.1", 443), to("192.0.2.1", 80), to("::1", 53)))

    assert reaches(policy, "192.0.2.1", 443)
    assert reaches(policy, "::1", 53)
    assert not reaches(policy, "192.0.2.1", 53)
    assert not reaches(policy, "192.0.2.2", 443)
    assert not reaches(policy, "0.0.0.0", 8080, Direction.LISTEN)


def test_ports_that_were_asked_for_are_exact() -> None:
    policy = policy_of(
        *CONNECT, addresses=(listens("bind", 40_000), listens("listen", 40_000), listens("bind", 80))
    )

    assert [
        port for port in (80, 81, 40_000, 40_001) if reaches(policy, "0.0.0.0", port, Direction.LISTEN)
    ] == [80, 40_000]


def test_ports_that_the_kernel_chose_may_be_others() -> None:
    policy = policy_of(*CONNECT, addresses=(listens("listen", 45_678), to("127.0.0.1", 45_678)))

    assert reaches(policy, "0.0.0.0", 51_234, Direction.LISTEN)
    assert reaches(policy, "127.0.0.1", 51_234)
    assert not reaches(policy, "127.0.0.1", 1234)


def test_many_clients_may_come_from_any_chosen_port() -> None:
    policy = policy_of(*CONNECT, addresses=tuple(to("192.0.2.1", 40_000 + number) for number in range(4)))

    assert reaches(policy, "192.0.2.1", 50_000)


def test_without_an_address_none_is_allowed() -> None:
    policy = policy_of(*CONNECT)

    assert not reaches(policy, "127.0.0.1", 80)
    assert not reaches(policy, "127.0.0.1", 80, Direction.LISTEN)


def test_texts_cannot_end_their_lines() -> None:
    assert quote('a"b\\c\n\x85\u2028') == '"a\\"b\\\\c\\n\\U00000085\\U00002028"'


def test_notes_that_were_lost_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(LimitError, match="learn from parts"):
        learn_policy(Notes((), 1, 0), ["true"], DEFAULT)


def test_notes_that_make_no_sense_are_told() -> None:
    assert len(learn_policy(Notes((), 0, 2), ["true"], DEFAULT).warnings) == 1


def test_what_depends_on_time_is_not_added_to_what_was_permitted() -> None:
    base = read_policy_file(Path("base.toml"), b'syscalls = { allow = ["read", "brk"] }')

    learnt = learn_policy(Notes((), 0, 0), ["true"], base)

    policy = read_policy_file(Path("learnt.toml"), learnt.text.encode())
    assert {call for call in CALLS if becomes(policy, Call(call)) == "allow"} == {"brk"}


def executed(path: bytes) -> Note:
    return Note(NoteKind.PATH, "execve", lib.KW_POLICY_EXECUTE, 0, (0, 0, 0), (path,), (False, False))


def test_what_was_executed_may_be_read_where_that_was_permitted() -> None:
    narrow = b'base = "default"\nfiles = [{ path = "/usr/bin/secret", access = "x" }]'
    noted = Notes((executed(b"/usr/bin/plain"), executed(b"/usr/bin/secret")), 0, 0)

    learnt = learn_policy(noted, ["true"], read_policy_file(Path("narrow.toml"), narrow))

    policy = read_policy_file(Path("learnt.toml"), learnt.text.encode())
    assert [str(granted(policy, path)) for path in (b"/usr/bin/plain", b"/usr/bin/secret")] == ["rx", "x"]


def test_a_program_that_did_nothing_may_do_nothing() -> None:
    policy = read_policy_file(Path("x.toml"), learn_policy(Notes((), 0, 0), ["true"], DEFAULT).text.encode())

    assert {call for call in CALLS if becomes(policy, Call(call)) == "allow"} == ALWAYS
    assert policy.files


@given(st.lists(notes(), max_size=40))
@example([Note(NoteKind.CALL, "prctl", 0, 0, (1 << 32, 0, 0), (), (False, False))])
@settings(deadline=None)
def test_whatever_was_noted_a_policy_comes_of_it(written: list[Note]) -> None:
    learnt = learn_policy(Notes(tuple(written), 0, 0), ["true"], DEFAULT)

    policy = read_policy_file(Path("learnt.toml"), learnt.text.encode())
    assert {call for call in CALLS if becomes(policy, Call(call, (2**64 - 1,) * 6)) == "allow"} <= ALWAYS | {
        note.call for note in written
    }
