"""Events of `supervise` are bounded and cleaned."""

from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import MESSAGE_SIZE, Event, EventType, clean_text, resize, send_signal


def encode(kind: int, value: int, text: bytes) -> bytes:
    message = ffi.new("struct kw_message *")
    message.type, message.value, message.time_ns = kind, value, 5
    ffi.memmove(message.text, text, len(text))
    return bytes(ffi.buffer(message))


def test_an_event_is_read() -> None:
    event = Event.decode(encode(lib.KW_EVENT_EXITED, 3, b"well\0rest"))

    assert event == Event(type=EventType.EXITED, value=3, time_ns=5, text="well")


def test_unknown_and_cut_off_events_are_none() -> None:
    assert Event.decode(encode(999, 0, b"")) is None
    assert Event.decode(b"short") is None
    assert Event.decode(bytes(MESSAGE_SIZE + 1)) is None


@given(st.binary(max_size=512))
def test_text_never_commands_a_terminal(data: bytes) -> None:
    text = clean_text(data)

    assert text.isprintable()
    assert len(text) <= len(data)


def test_control_messages_carry_their_value() -> None:
    for data, kind, value in (
        (send_signal(15), lib.KW_CONTROL_SIGNAL, 15),
        (resize(40, 120), lib.KW_CONTROL_RESIZE, 40 << 16 | 120),
    ):
        message = ffi.new("struct kw_message *")
        ffi.memmove(message, data, MESSAGE_SIZE)
        assert (message.type, message.value) == (kind, value)
