"""The frames of an upgraded connection (`Upgrade: kwhost-stream`), both ways. Pure.

A frame is one byte for its type, four for the length of its content (big-endian), then the content.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from kwhost.core.errors import ApiError
from kwhost.core.model.instance import TerminalSize

__all__ = [
    "CONTENT_MAX",
    "PROTOCOL",
    "Frame",
    "FrameDecoder",
    "FrameType",
    "decode_exit",
    "decode_resize",
    "decode_signal",
    "encode_exit",
    "encode_frame",
    "encode_resize",
    "encode_signal",
]

PROTOCOL = "kwhost-stream"
CONTENT_MAX = 64 * 1024

_HEADER = struct.Struct(">BI")
_RESIZE = struct.Struct(">HH")
_EXIT = struct.Struct(">i")


class FrameType(IntEnum):
    """What a frame carries. The client sends STDIN, END, RESIZE and SIGNAL, the server the others."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    RESIZE = 3  # two 16-bit numbers: rows, columns
    SIGNAL = 4  # one byte: the signal's number
    END = 5  # no more input
    EXIT = 6  # a signed 32-bit number: the exit status; nothing follows
    ERROR = 7  # the JSON object of an error; nothing follows
    STARTED = 8


class Frame(NamedTuple):
    """One frame, its content not yet looked at."""

    type: FrameType
    content: bytes


class FrameDecoder:
    """Puts frames together from what arrives; what it holds is less than one frame."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete now. Raises ApiError for what is none: nothing can follow it."""
        self._data += data
        frames = []
        at = 0
        while len(self._data) - at >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._data, at)
            kind = _frame_type(number)
            if length > CONTENT_MAX:
                raise ApiError(f"a frame of {length} bytes came in; {CONTENT_MAX} is the most")
            end = at + _HEADER.size + length
            if end > len(self._data):
                break
            frames.append(Frame(kind, bytes(self._data[at + _HEADER.size : end])))
            at = end
        del self._data[:at]
        return frames

    @property
    def incomplete(self) -> bool:
        """Whether the beginning of a frame has arrived whose rest has not."""
        return bool(self._data)


def _frame_type(number: int) -> FrameType:
    try:
        return FrameType(number)
    except ValueError:
        raise ApiError(f"a frame of the unknown type {number} came in") from None


def encode_frame(kind: FrameType, content: bytes = b"") -> bytes:
    """One frame; the content has at most CONTENT_MAX bytes."""
    assert len(content) <= CONTENT_MAX
    return _HEADER.pack(kind, len(content)) + content


def encode_resize(size: TerminalSize) -> bytes:
    """The terminal's new size, bounded to what fits."""
    bounded = (max(1, min(value, 0xFFFF)) for value in (size.rows, size.columns))
    return encode_frame(FrameType.RESIZE, _RESIZE.pack(*bounded))


def encode_signal(number: int) -> bytes:
    """A signal for the program."""
    return encode_frame(FrameType.SIGNAL, bytes([number]))


def encode_exit(status: int) -> bytes:
    """The program's exit status."""
    return encode_frame(FrameType.EXIT, _EXIT.pack(status))


def decode_resize(content: bytes) -> TerminalSize:
    """Raises ApiError for what is no size."""
    if len(content) != _RESIZE.size or 0 in (size := _RESIZE.unpack(content)):
        raise ApiError("a resize frame needs two 16-bit numbers above 0: rows and columns")
    return TerminalSize(rows=size[0], columns=size[1])


def decode_signal(content: bytes) -> int:
    """Raises ApiError for what is no signal's number."""
    if len(content) != 1 or not 1 <= content[0] <= 64:
        raise ApiError("a signal frame needs one byte from 1 to 64")
    return content[0]


def decode_exit(content: bytes) -> int:
    """Raises ApiError for what is no exit status."""
    if len(content) != _EXIT.size:
        raise ApiError("an exit frame needs one 32-bit number")
    return int(_EXIT.unpack(content)[0])
