"""The memory in which monitors note what a program does (struct kw_learn): made here, and read once the
program has ended. Monitors may be hostile: what is not a proper note is counted, and left out."""

from enum import IntEnum
from ipaddress import IPv6Address
from struct import Struct
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.call_names import call_name

__all__ = ["LEARN_SIZE", "AddressNote", "Note", "NoteKind", "Notes", "decode_notes", "new_learn_memory"]

LEARN_SIZE: int = ffi.sizeof("struct kw_learn")
_RECORDS_AT: int = ffi.offsetof("struct kw_learn", "records")
_RECORD_SIZE: int = ffi.sizeof("struct kw_learnt")
_CONTENT_AT: int = ffi.offsetof("struct kw_learnt", "kind")
_TEXT_AT: int = ffi.offsetof("struct kw_learnt", "text")
# hash, ready, kind, access, flags, padding, error, length, call, values
_RECORD = Struct("=QIBBBBHHI3Q")
_CLAIM = Struct("=QI")
_HEADER = Struct("=IIQQQ")
_FULL_ACCESS = lib.KW_POLICY_READ | lib.KW_POLICY_WRITE | lib.KW_POLICY_EXECUTE
_ERROR_MAX = 4095


class NoteKind(IntEnum):
    """What a note is about (enum kw_learn_kind)."""

    CALL = lib.KW_LEARN_CALL
    PATH = lib.KW_LEARN_PATH
    NAMES = lib.KW_LEARN_NAMES
    DIRECTORY = lib.KW_LEARN_DIRECTORY
    ADDRESS = lib.KW_LEARN_ADDRESS
    REFUSED = lib.KW_LEARN_REFUSED
    MADE = lib.KW_LEARN_MADE


class AddressNote(NamedTuple):
    """An address as the monitor judged it: IPv4 ones are mapped into IPv6; `protocol` is IP's number."""

    address: IPv6Address
    port: int
    listens: bool
    protocol: int


class Note(NamedTuple):
    """One thing that the program did. `access` has the bits KW_POLICY_READ, ...; `texts` are one or two
    paths, and those in `cut` stand for something beneath them; `error` is what a call was refused with."""

    kind: NoteKind
    call: str
    access: int
    error: int
    values: tuple[int, ...]
    texts: tuple[bytes, ...]
    cut: tuple[bool, bool]
    address: AddressNote | None = None


class Notes(NamedTuple):
    """All notes; how many there was no room for; how many make no sense."""

    notes: tuple[Note, ...]
    lost: int
    damaged: int


def new_learn_memory() -> bytes:
    """The beginning of empty memory; zeros follow, up to LEARN_SIZE."""
    return _HEADER.pack(lib.KW_LEARN_MAGIC, lib.KW_LEARN_VERSION, LEARN_SIZE, 0, 0)


def decode_notes(memory: bytes) -> Notes:
    """Read what monitors wrote, in an order that does not depend on them."""
    *_, lost = _HEADER.unpack_from(memory)
    notes: list[Note] = []
    damaged = 0
    for at in range(_RECORDS_AT, _RECORDS_AT + lib.KW_LEARN_RECORDS * _RECORD_SIZE, _RECORD_SIZE):
        claimed, ready = _CLAIM.unpack_from(memory, at)
        if not claimed or not ready:  # a thread that ended before it could make the call
            continue
        note = _decode_note(memory[at : at + _RECORD_SIZE])
        if note:
            notes.append(note)
        else:
            damaged += 1
    return Notes(tuple(sorted(set(notes))), lost, damaged)


def _hash(content: bytes) -> int:
    """FNV-1a, as policy_hash."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value or 1


def _decode_note(record: bytes) -> Note | None:
    """None where it is none."""
    found, _, kind, access, flags, padding, error, length, call, *values = _RECORD.unpack_from(record)
    if length > lib.KW_LEARN_TEXT_MAX or padding:
        return None
    if found != _hash(record[_CONTENT_AT : _TEXT_AT + length]):
        return None
    if kind not in list(NoteKind) or access & ~_FULL_ACCESS or error > _ERROR_MAX:
        return None
    if call >= lib.KW_CALL_LIMIT:
        return None
    text = record[_TEXT_AT : _TEXT_AT + length]
    note = Note(
        kind=NoteKind(kind),
        call=call_name(call),
        access=access,
        error=error,
        values=tuple(values),
        texts=tuple(text.split(b"\0")) if text else (),
        cut=(bool(flags & lib.KW_LEARN_CUT), bool(flags & lib.KW_LEARN_CUT_OTHER)),
    )
    return _complete(note)


def _complete(note: Note) -> Note | None:
    """With its address; None where the parts do not fit its kind."""
    match note.kind:
        case NoteKind.CALL:
            return note if not note.texts else None
        case NoteKind.ADDRESS:
            address = _decode_address(note.values)
            return note._replace(address=address) if address else None
        case NoteKind.REFUSED:
            return note if len(note.texts) <= 1 else None
        case NoteKind.NAMES:
            return note if len(note.texts) == 2 and all(map(_is_path, note.texts)) else None
        case NoteKind.PATH | NoteKind.DIRECTORY | NoteKind.MADE:
            return note if len(note.texts) == 1 and _is_path(note.texts[0]) else None


def _is_path(path: bytes) -> bool:
    """Absolute, of plain names, and no longer than a rule's."""
    if path == b"/":
        return True
    names = path[1:].split(b"/")
    return (
        path[:1] == b"/"
        and len(path) <= lib.KW_LEARN_PATH_MAX
        and not any(name in (b"", b".", b"..") for name in names)
    )


def _decode_address(values: tuple[int, ...]) -> AddressNote | None:
    packed = b"".join(value.to_bytes(8, "little") for value in values[:2])
    port, direction, protocol = values[2] & 0xFFFF, values[2] >> 16 & 0xFFFF, values[2] >> 32
    if direction not in (lib.KW_POLICY_TO, lib.KW_POLICY_LISTEN) or protocol > 0xFF:
        return None
    return AddressNote(IPv6Address(packed), port, direction == lib.KW_POLICY_LISTEN, protocol)
