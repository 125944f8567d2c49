"""What a program was seen to do, by the parts of a policy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kwhost.core.abi._abi import lib
from kwhost.core.abi.learn_memory import Note, NoteKind
from kwhost.core.model.network import Address
from kwhost.core.policy.destinations import Protocol
from kwhost.core.policy.model import Access

__all__ = ["NOTED_ARGUMENTS", "Observed", "Refusal", "Renaming", "Seen", "SeenAddress", "observe"]

# The arguments that monitors note of a call (all_noted in policy/learn.c), and the bits of each.
NOTED_ARGUMENTS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "ioctl": ((1, 0xFFFF_FFFF),),
    "fcntl": ((1, 0xFFFF_FFFF),),
    "prctl": ((0, 0xFFFF_FFFF),),
    "clone": ((0, 0xFFFF_FFFF),),
    "socket": ((0, 0xFFFF_FFFF), (1, 0xF), (2, 0xFFFF_FFFF)),
    "socketpair": ((0, 0xFFFF_FFFF), (1, 0xF), (2, 0xFFFF_FFFF)),
}
_BITS = (
    (lib.KW_POLICY_READ, Access.READ),
    (lib.KW_POLICY_WRITE, Access.WRITE),
    (lib.KW_POLICY_EXECUTE, Access.EXECUTE),
)
_MAKES_DIRECTORY = "mkdirat"  # in either form
_PROTOCOLS = {6: Protocol.TCP, 17: Protocol.UDP}


class Seen(NamedTuple):
    """A call with the values of those arguments that are noted."""

    call: str
    values: tuple[int, ...] = ()


class Renaming(NamedTuple):
    """What had one name got another one, or that one too."""

    old: bytes
    new: bytes


class SeenAddress(NamedTuple):
    """An address that was called, sent to, bound to, or listened at, by which call; a protocol of None is
    another one than those that rules know."""

    call: str
    listens: bool
    address: Address
    port: int
    protocol: Protocol | None


class Refusal(NamedTuple):
    """What was refused, with which error (0: the process was killed); `text`: the path or address."""

    seen: Seen
    error: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that was seen. `above` are directories beneath which paths were used that are too long for rules,
    `moved` those that got another name; `new_files` and `new_directories` were made where there had to be
    nothing, as makers of temporary names do."""

    calls: frozenset[Seen] = frozenset()
    paths: Mapping[bytes, Access]
    above: Mapping[bytes, Access]
    renamings: frozenset[Renaming] = frozenset()
    moved: frozenset[bytes] = frozenset()
    new_files: frozenset[bytes] = frozenset()
    new_directories: frozenset[bytes] = frozenset()
    addresses: frozenset[SeenAddress] = frozenset()
    refusals: tuple[Refusal, ...] = ()


def _access(bits: int) -> Access:
    access = Access.NONE
    for bit, letter in _BITS:
        if bits & bit:
            access |= letter
    return access


def _seen(note: Note) -> Seen:
    """What is more than the 32 bits that a monitor notes of an argument was made up."""
    values = note.values[: len(NOTED_ARGUMENTS.get(note.call, ()))]
    return Seen(note.call, tuple(value & 0xFFFF_FFFF for value in values))


def _address(note: Note) -> SeenAddress:
    assert note.address
    found = note.address
    address: Address = found.address.ipv4_mapped or found.address
    return SeenAddress(note.call, found.listens, address, found.port, _PROTOCOLS.get(found.protocol))


def observe(notes: Iterable[Note]) -> Observed:
    """Sort notes into the parts of a policy."""
    by_kind: dict[NoteKind, list[Note]] = defaultdict(list)
    for note in notes:
        by_kind[note.kind].append(note)
    paths: dict[bytes, Access] = {}
    above: dict[bytes, Access] = {}
    for note in [*by_kind[NoteKind.PATH], *by_kind[NoteKind.NAMES]]:
        accesses = (_access(note.access), Access.WRITE)  # a name is made by writing
        for path, access, cut in zip(note.texts, accesses, note.cut, strict=False):
            group = above if cut else paths
            group[path] = group.get(path, Access.NONE) | access
    return Observed(
        calls=frozenset(_seen(note) for note in by_kind[NoteKind.CALL]),
        paths=paths,
        above=above,
        renamings=frozenset(Renaming(*note.texts) for note in by_kind[NoteKind.NAMES] if not any(note.cut)),
        moved=frozenset(note.texts[0] for note in by_kind[NoteKind.DIRECTORY] if not note.cut[0]),
        new_files=frozenset(
            note.texts[0] for note in by_kind[NoteKind.MADE] if note.call != _MAKES_DIRECTORY
        ),
        new_directories=frozenset(
            note.texts[0] for note in by_kind[NoteKind.MADE] if note.call == _MAKES_DIRECTORY
        ),
        addresses=frozenset(_address(note) for note in by_kind[NoteKind.ADDRESS]),
        refusals=tuple(
            Refusal(_seen(note), note.error, note.texts[0].decode(errors="replace") if note.texts else "")
            for note in by_kind[NoteKind.REFUSED]
        ),
    )
