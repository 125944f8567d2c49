"""The memory to learn in is read as what a hostile monitor may have written."""

from ipaddress import IPv6Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.learn_memory import LEARN_SIZE, AddressNote, NoteKind, decode_notes, new_learn_memory

CONTENT_AT = ffi.offsetof("struct kw_learnt", "kind")
TEXT_AT = ffi.offsetof("struct kw_learnt", "text")


def new_memory() -> Any:
    memory = ffi.new("struct kw_learn *")
    ffi.memmove(memory, new_learn_memory(), len(new_learn_memory()))
    return memory


def sign(record: Any) -> None:
    """What the monitor's hash is over."""
    value = 0xCBF29CE484222325
    for byte in bytes(ffi.buffer(record))[CONTENT_AT : TEXT_AT + record.length]:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    record.hash, record.ready = value, 1


def add(memory: Any, kind: NoteKind, text: bytes = b"", **fields: Any) -> Any:
    record = ffi.addressof(memory.records[memory.used])
    record.kind, record.length = kind, len(text)
    ffi.memmove(record.text, text, len(text))
    for name, value in fields.items():
        setattr(record, name, value)
    sign(record)
    memory.used += 1
    return record


def decoded(memory: Any) -> Any:
    return decode_notes(bytes(ffi.buffer(memory)))


def test_new_memory_is_empty() -> None:
    notes = decode_notes(new_learn_memory().ljust(LEARN_SIZE, b"\0"))

    assert notes == ((), 0, 0)


def test_notes_are_read_back() -> None:
    memory = new_memory()
    add(memory, NoteKind.PATH, b"/etc/passwd", access=lib.KW_POLICY_READ)
    add(memory, NoteKind.NAMES, b"/a\0/b", flags=lib.KW_LEARN_CUT_OTHER)
    address = int.from_bytes(IPv6Address("::ffff:10.0.0.1").packed[8:], "little")
    add(memory, NoteKind.ADDRESS, values=[0, address, 443 | 6 << 32])
    memory.lost = 3

    path, names, sent = (notes := decoded(memory)).notes

    assert (path.texts, path.access, path.cut) == ((b"/etc/passwd",), lib.KW_POLICY_READ, (False, False))
    assert (names.texts, names.cut) == ((b"/a", b"/b"), (False, True))
    assert sent.address == AddressNote(IPv6Address("::ffff:10.0.0.1"), 443, listens=False, protocol=6)
    assert (notes.lost, notes.damaged) == (3, 0)


def test_what_was_not_finished_does_not_count() -> None:
    memory = new_memory()
    add(memory, NoteKind.PATH, b"/a").ready = 0

    assert decoded(memory) == ((), 0, 0)


def test_what_makes_no_sense_is_left_out_and_counted() -> None:
    memory = new_memory()
    wrong: list[tuple[NoteKind, bytes, dict[str, Any]]] = [
        (NoteKind.PATH, b"relative", {}),
        (NoteKind.PATH, b"/a/../b", {}),
        (NoteKind.PATH, b"/a//b", {}),
        (NoteKind.PATH, b"/" + b"a" * 300, {}),
        (NoteKind.PATH, b"/a\0/b", {}),
        (NoteKind.PATH, b"", {}),
        (NoteKind.PATH, b"/a", {"access": 8}),
        (NoteKind.NAMES, b"/a", {}),
        (NoteKind.NAMES, b"/a\0b", {}),
        (NoteKind.CALL, b"text", {}),
        (NoteKind.CALL, b"", {"call": lib.KW_CALL_LIMIT}),
        (NoteKind.ADDRESS, b"", {"values": [0, 0, 7 << 16]}),
        (NoteKind.REFUSED, b"", {"error": 5000}),
    ]
    for kind, text, fields in wrong:
        add(memory, kind, text, **fields)
    unknown = add(memory, NoteKind.PATH, b"/a")
    unknown.kind = 77
    sign(unknown)
    add(memory, NoteKind.PATH, b"/a").hash ^= 1
    add(memory, NoteKind.PATH, b"/a").length = 60_000

    assert decoded(memory) == ((), 0, len(wrong) + 3)


@given(
    st.lists(st.binary(min_size=TEXT_AT, max_size=ffi.sizeof("struct kw_learnt")), max_size=20), st.booleans()
)
@settings(max_examples=25, deadline=None)
def test_whatever_is_there_is_read_to_its_end(records: list[bytes], signed: bool) -> None:
    memory = new_memory()
    for index, content in enumerate(records):
        ffi.memmove(ffi.addressof(memory.records[index]), content, len(content))
        if signed:
            memory.records[index].length %= lib.KW_LEARN_TEXT_MAX
            sign(ffi.addressof(memory.records[index]))

    notes = decoded(memory)

    assert len(notes.notes) + notes.damaged <= len(records)
