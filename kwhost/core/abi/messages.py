"""Control messages to `supervise` and its events (struct kw_message).

`supervise` is trusted, but the text of an event may quote its instance: it is bounded and cleaned.
"""

from enum import Enum, Flag
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import EXIT_SIGNAL_BASE

__all__ = [
    "CONNECTIONS_MAX",
    "MESSAGE_SIZE",
    "AttachFlag",
    "Event",
    "EventType",
    "answer",
    "ask_root",
    "attach",
    "clean_text",
    "drive_network",
    "execute",
    "exit_status",
    "fail_network",
    "hello",
    "network_ready",
    "new_socket",
    "replace_policy",
    "resize",
    "send_signal",
    "stop",
    "watch_log",
]

MESSAGE_SIZE: int = ffi.sizeof("struct kw_message")
# Control connections to one instance at once; `supervise` closes those beyond.
CONNECTIONS_MAX: int = lib.KW_CONNECTIONS_MAX


class EventType(Enum):
    """What `supervise` reports. HELLO, SOCKET and STARTED of a process with a terminal bring a descriptor,
    ROOT and NETWORK bring two."""

    STARTED = lib.KW_EVENT_STARTED
    EXITED = lib.KW_EVENT_EXITED
    FAILED = lib.KW_EVENT_FAILED
    STOPPED = lib.KW_EVENT_STOPPED
    NOTICE = lib.KW_EVENT_NOTICE
    HELLO = lib.KW_EVENT_HELLO
    LOGGED = lib.KW_EVENT_LOGGED
    MEMORY = lib.KW_EVENT_MEMORY
    SOCKET = lib.KW_EVENT_SOCKET
    ROOT = lib.KW_EVENT_ROOT
    DENIED = lib.KW_EVENT_DENIED
    POLICY = lib.KW_EVENT_POLICY
    QUESTION = lib.KW_EVENT_QUESTION
    ANSWERED = lib.KW_EVENT_ANSWERED
    NETWORK = lib.KW_EVENT_NETWORK


class AttachFlag(Flag):
    """What an attachment is connected to; the descriptors in the message are in this order."""

    STDIN = lib.KW_ATTACH_STDIN
    OUTPUT = lib.KW_ATTACH_OUTPUT
    CLOSE_STDIN = lib.KW_ATTACH_CLOSE_STDIN


_SIGNAL_FROM = 256


def exit_status(value: int) -> int:
    """An EXITED event's value, or an exit record's status, as shells give it: 128 + N by signal N."""
    if value >= _SIGNAL_FROM:
        return EXIT_SIGNAL_BASE + (value - _SIGNAL_FROM & 0x7F)
    return value & 0xFF


class Event(NamedTuple):
    """One report; what `value` and `extra` mean depends on the type (see the header)."""

    type: EventType
    value: int
    time_ns: int
    text: str
    extra: int = 0

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
        return cls(type=kind, value=message.value, time_ns=message.time_ns, text=text, extra=message.extra)


def clean_text(data: bytes) -> str:
    """Text up to the first NUL on one line, with nothing in it that a terminal would obey."""
    text = data.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


def _control(kind: int, value: int = 0, extra: int = 0, text: str = "") -> bytes:
    message = ffi.new("struct kw_message *")
    message.type, message.value, message.extra = kind, value, extra
    message.text = text.encode(errors="replace")[: lib.KW_ERROR_MAX - 1]
    return bytes(ffi.buffer(message))


def send_signal(number: int) -> bytes:
    """Signal the instance's first process."""
    return _control(lib.KW_CONTROL_SIGNAL, number)


def resize(rows: int, columns: int) -> bytes:
    """Tell the pseudo terminal its new size."""
    return _control(lib.KW_CONTROL_RESIZE, min(rows, 0xFFFF) << 16 | min(columns, 0xFFFF))


def stop(milliseconds: int, signal: int = 0) -> bytes:
    """Send a signal (0: SIGTERM), and SIGKILL if the instance still runs that much later."""
    return _control(lib.KW_CONTROL_STOP, min(milliseconds, 0xFFFF_FFFF), signal)


def hello() -> bytes:
    """Ask how the instance is; the answer is a HELLO, with the statistics page's descriptor."""
    return _control(lib.KW_CONTROL_HELLO)


def watch_log() -> bytes:
    """Ask for one LOGGED, as soon as there is something in the log since the last one."""
    return _control(lib.KW_CONTROL_WATCH_LOG)


def new_socket(family: int, kind: int) -> bytes:
    """Ask for a socket in the instance's network namespace: AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM.
    The answer is a SOCKET, with the descriptor or an errno as its value."""
    return _control(lib.KW_CONTROL_SOCKET, family, kind)


def ask_root() -> bytes:
    """Ask for the instance's root directory. The answer is a ROOT, with a descriptor of it and a pidfd of the
    instance's first process, or an errno as its value."""
    return _control(lib.KW_CONTROL_ROOT)


def replace_policy() -> bytes:
    """Put a compiled policy into force, sent along in a memfd. The answer is a POLICY, whose value is 0 or an
    errno; what was wrong is its text."""
    return _control(lib.KW_CONTROL_POLICY)


def answer(question: int, *, allow: bool) -> bytes:
    """Answer the question of a QUESTION event by its number. An ANSWERED follows, unless it is not open any
    more."""
    return _control(lib.KW_CONTROL_ANSWER, question, int(allow))


def drive_network() -> bytes:
    """Tell which process drives the instance's network from now on: its pidfd and its lifeline go along."""
    return _control(lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_DRIVER)


def network_ready() -> bytes:
    """Let the program begin, which waits for its network."""
    return _control(lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_READY)


def fail_network(why: str) -> bytes:
    """Have the start fail, since there is no network; nothing where the program has begun."""
    return _control(lib.KW_CONTROL_NETWORK, lib.KW_NETWORK_FAILED, text=why)


def attach(flags: AttachFlag) -> bytes:
    """Connect descriptors, sent along: a read end if STDIN, then two write ends if OUTPUT."""
    return _control(lib.KW_CONTROL_ATTACH, flags.value)


def execute() -> bytes:
    """Start a further process and make this connection its own.

    Sent along: `encode_exec` in a memfd, /dev/kvm, and unless the process gets a terminal its standard input,
    output and error.
    """
    return _control(lib.KW_CONTROL_EXEC)
