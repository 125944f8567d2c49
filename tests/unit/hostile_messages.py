"""Messages of DNS as nobody honest sends them: their parts are right one by one, and wrong together."""

import struct

from hypothesis import strategies as st

__all__ = ["hostile_messages"]

_POINTERS = st.integers(0, 0x3FFF).map(lambda place: struct.pack("!H", 0xC000 | place))
_TO_ITSELF = st.sampled_from([b"\xc0\x0c", b"\xc0\x0e", b"\1a\xc0\x0c", b"\xc0\x10\1a\xc0\x0e"])
_NAMED = ("one", "two", "acme", "kwhost", "globex", "www", "example", "org", "x" * 63)
_LABELS = st.one_of(
    st.sampled_from([bytes((len(name),)) + name.encode() for name in _NAMED]),
    st.integers(64, 255).map(lambda size: bytes((size,))),  # longer than a label may be, or half a pointer
    st.binary(min_size=1, max_size=6).map(lambda text: bytes((len(text) + 9,)) + text),  # goes beyond its end
)
_NAMES = st.builds(
    lambda labels, end: b"".join(labels) + end,
    st.lists(_LABELS, max_size=130),
    st.one_of(st.just(b"\0"), _POINTERS, _TO_ITSELF, st.just(b"")),
)
_NUMBERS = st.one_of(st.integers(0, 2), st.sampled_from([255, 65_535]), st.integers(0, 65_535))
_TYPES = st.sampled_from([1, 2, 5, 6, 12, 16, 28, 41, 64, 65, 250, 251, 252, 255, 65_535])
_QUESTIONS = st.builds(
    lambda name, kind, space: name + struct.pack("!HH", kind, space), _NAMES, _TYPES, _NUMBERS
)
_RECORDS = st.builds(
    lambda head, ttl, size, body: head + struct.pack("!IH", ttl, size) + body,
    _QUESTIONS,
    st.integers(0, 0xFFFF_FFFF),
    _NUMBERS,
    st.one_of(_NAMES, st.binary(max_size=40)),
)
_HEADERS = st.builds(
    lambda flags, counts: struct.pack("!6H", 7, flags, *counts),
    st.one_of(st.just(0x0100), st.integers(0, 0x7FFF)),
    st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS),
)


def _cut(message: bytes, left_out: int) -> bytes:
    return message[: max(0, len(message) - left_out)]


def hostile_messages() -> st.SearchStrategy[bytes]:
    """Names that point at themselves and each other or do not end, counts of what is not there, ends in the
    middle."""
    return st.builds(
        lambda header, question, records, left_out: _cut(header + question + b"".join(records), left_out),
        _HEADERS,
        st.one_of(_QUESTIONS, st.just(b"")),
        st.lists(_RECORDS, max_size=4),
        st.integers(0, 40),
    )
