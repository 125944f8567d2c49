"""Events of `supervise` are bounded and cleaned."""

from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.exit_record import EXIT_SIZE, EndReason, ExitRecord, decode_exit
from kwhost.core.abi.messages import (
    MESSAGE_SIZE,
    AttachFlag,
    Event,
    EventType,
    ask_root,
    attach,
    clean_text,
    drive_network,
    execute,
    fail_network,
    hello,
    network_ready,
    resize,
    send_signal,
    stop,
    watch_log,
)


def encode(kind: int, value: int, text: bytes) -> bytes:
    message = ffi.new("struct kw_message *")
    message.type, message.value, message.extra, message.time_ns = kind, value, 8, 5
    ffi.memmove(message.text, text, len(text))
    return bytes(ffi.buffer(message))


def test_an_event_is_read() -> None:
    event = Event.decode(encode(lib.KW_EVENT_EXITED, 3, b"well\0rest"))

    assert event == Event(type=EventType.EXITED, value=3, time_ns=5, text="well", extra=8)


def test_unknown_and_cut_off_events_are_none() -> None:
    assert Event.decode(encode(999, 0, b"")) is None
    assert Event.decode(b"short") is None
    assert Event.decode(bytes(MESSAGE_SIZE + 1)) is None


@given(st.binary(max_size=512))
def test_text_never_commands_a_terminal(data: bytes) -> None:
    text = clean_text(data)

    assert text.isprintable()
    assert len(text) <= len(data)


def test_control_messages_carry_their_values() -> None:
    for data, kind, value, extra in (
        (send_signal(15), lib.KW_CONTROL_SIGNAL, 15, 0),
        (resize(40, 120), lib.KW_CONTROL_RESIZE, 40 << 16 | 120, 0),
        (stop(2500, 10), lib.KW_CONTROL_STOP, 2500, 10),
        (stop(2**40), lib.KW_CONTROL_STOP, 2**32 - 1, 0),
        (hello(), lib.KW_CONTROL_HELLO, 0, 0),
        (watch_log(), lib.KW_CONTROL_WATCH_LOG, 0, 0),
        (attach(AttachFlag.STDIN | AttachFlag.CLOSE_STDIN), lib.KW_CONTROL_ATTACH, 5, 0),
        (ask_root(), lib.KW_CONTROL_ROOT, 0, 0),
        (execute(), lib.KW_CONTROL_EXEC, 0, 0),
        (drive_network(), lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_DRIVER, 0),
        (network_ready(), lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_READY, 0),
        (fail_network("why"), lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_FAILED, 0),
    ):
        message = ffi.new("struct kw_message *")
        ffi.memmove(message, data, MESSAGE_SIZE)
        assert (message.type, message.value, message.extra) == (kind, value, extra)


def test_the_reason_of_a_failure_fits_into_its_message() -> None:
    message = ffi.new("struct kw_message *")
    ffi.memmove(message, fail_network("because " * 1000), MESSAGE_SIZE)

    text = bytes(ffi.buffer(message.text))
    assert text.startswith(b"because because ")
    assert text[-1] == 0


def exit_record(**changes: int) -> bytes:
    record = ffi.new("struct kw_exit *")
    record.magic, record.version, record.size = lib.KW_EXIT_MAGIC, lib.KW_ABI_VERSION, EXIT_SIZE
    record.reason, record.status, record.started_ns, record.ended_ns = lib.KW_EXIT_MEMORY, 265, 5, 6
    record.lost_log = 7
    ffi.memmove(record.text, b"too\nmuch\0", 9)
    for field, value in changes.items():
        setattr(record, field, value)
    return bytes(ffi.buffer(record))


def test_an_exit_record_is_read() -> None:
    assert decode_exit(exit_record()) == ExitRecord(
        reason=EndReason.MEMORY,
        status=265,
        failed_status=0,
        started_ns=5,
        ended_ns=6,
        lost_log=7,
        text="too?much",
    )


def test_what_is_no_finished_exit_record_is_none() -> None:
    assert decode_exit(b"") is None
    assert decode_exit(bytes(EXIT_SIZE)) is None
    assert decode_exit(exit_record(magic=0)) is None
    assert decode_exit(exit_record(size=8)) is None
    assert decode_exit(exit_record(reason=99)) is None
    assert decode_exit(exit_record() + b"x") is None


@given(st.binary(min_size=EXIT_SIZE, max_size=EXIT_SIZE))
def test_any_content_of_an_exit_file_is_survived(data: bytes) -> None:
    decode_exit(data)
