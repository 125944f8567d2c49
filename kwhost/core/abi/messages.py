"""Control messages to `supervise` and its events (struct kw_message).

`supervise` is trusted, but the text of an event may quote its instance: it is bounded and cleaned.
"""

from enum import Enum
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib

__all__ = ["MESSAGE_SIZE", "Event", "EventType", "clean_text", "resize", "send_signal"]

MESSAGE_SIZE: int = ffi.sizeof("struct kw_message")


class EventType(Enum):
    """What `supervise` reports."""

    STARTED = lib.KW_EVENT_STARTED
    EXITED = lib.KW_EVENT_EXITED
    FAILED = lib.KW_EVENT_FAILED
    STOPPED = lib.KW_EVENT_STOPPED
    NOTICE = lib.KW_EVENT_NOTICE


class Event(NamedTuple):
    """One report; what `value` means depends on the type (see the header)."""

    type: EventType
    value: int
    time_ns: int
    text: str

    @classmethod
    def decode(cls, data: bytes) -> "Event | None":
        """Read an event; None for what this version does not know."""
        if len(data) != MESSAGE_SIZE:
            return None
        message = ffi.new("struct kw_message *")
        ffi.memmove(message, data, MESSAGE_SIZE)
        try:
            kind = EventType(message.type)
        except ValueError:
            return None
        text = clean_text(bytes(ffi.buffer(message.text)))
        return cls(type=kind, value=message.value, time_ns=message.time_ns, text=text)


def clean_text(data: bytes) -> str:
    """Text up to the first NUL on one line, with nothing in it that a terminal would obey."""
    text = data.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


def _control(kind: int, value: int) -> bytes:
    message = ffi.new("struct kw_message *")
    message.type, message.value = kind, value
    return bytes(ffi.buffer(message))


def send_signal(number: int) -> bytes:
    """Signal the instance's first process."""
    return _control(lib.KW_CONTROL_SIGNAL, number)


def resize(rows: int, columns: int) -> bytes:
    """Tell the pseudo terminal its new size."""
    return _control(lib.KW_CONTROL_RESIZE, min(rows, 0xFFFF) << 16 | min(columns, 0xFFFF))
