"""The operator's streams, terminal and signals at a program that a daemon runs.

One loop and no threads: it waits for the daemon, for input and for signals at the same time.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.api.stream import (
    CONTENT_MAX,
    Frame,
    FrameType,
    decode_exit,
    encode_frame,
    encode_resize,
    encode_signal,
)
from kwhost.core.cli.detach import DetachKeys
from kwhost.core.errors import HostError, UsageError
from kwhost.core.operator.signals import forwarded_signals
from kwhost.core.operator.terminal import OperatorTerminal

if TYPE_CHECKING:
    from kwhost.core.api.client import Stream

__all__ = ["Wish", "converse", "wish"]

# Whoever presses ^C again this soon means it.
_INSIST_SECONDS = 3.0
_SIZE_SIGNALS = (signal.SIGWINCH, signal.SIGCONT)


class Wish(NamedTuple):
    """What the operator gives the program: input, and a terminal that becomes the program's."""

    stdin: bool
    terminal: OperatorTerminal | None


def wish(*, interactive: bool, tty: bool) -> Wish:
    """What -i and -t come to. Raises UsageError."""
    if not (interactive and tty):
        return Wish(interactive, None)
    terminal = OperatorTerminal.of(0)
    if terminal is None:
        raise UsageError("-i with -t needs a terminal on standard input; leave out -t to feed it from a pipe")
    return Wish(stdin=True, terminal=terminal)


@contextmanager
def _received_signals(numbers: list[int]) -> Iterator[socket.socket]:
    """Within this block these signals are bytes to read here, and do nothing else."""
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)  # noqa: FBT003 - the standard library's own interface
        writing.setblocking(False)  # noqa: FBT003
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
        woken = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)


class _Conversation:
    def __init__(self, stream: "Stream", wanted: Wish) -> None:
        self._stream = stream
        self._terminal = wanted.terminal
        self._input: int | None = 0 if wanted.stdin else None
        self._keys = DetachKeys() if wanted.terminal else None
        self._interrupted = -_INSIST_SECONDS
        self._status: int | None = None
        self._detached = False

    def run(self) -> int | None:
        """Until the program's end, whose exit status this is, or until the operator detaches: None."""
        numbers = [*forwarded_signals(), *(_SIZE_SIGNALS if self._terminal else ())]
        # The terminal is raw only while signals are received here: none can end this process in between.
        with _received_signals(numbers) as signals, self._terminal or nullcontext():
            self._send_size()
            self._take_frames()  # some may have come with the answer: select would not tell of them
            while self._status is None and not self._detached:
                self._step(signals)
        return self._status

    def _step(self, signals: socket.socket) -> None:
        reading: list[int] = [self._stream.fileno(), signals.fileno()]
        if self._input is not None and not self._stream.pending:
            reading.append(self._input)
        writing = [self._stream.fileno()] if self._stream.pending else []
        readable, writable, _ = select.select(reading, writing, [])
        if writable:
            self._stream.flush()
        if signals.fileno() in readable:
            for number in signals.recv(4096):
                self._pass_signal(number)
        if self._stream.fileno() in readable:
            self._take_frames()
        elif self._input in readable:
            self._pass_input()

    def _take_frames(self) -> None:
        for frame in self._stream.receive():
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame.type:
            case FrameType.STDOUT:
                _write(1, frame.content)
            case FrameType.STDERR:
                _write(2, frame.content)
            case FrameType.EXIT:
                self._status = decode_exit(frame.content)
            case _:
                pass

    def _pass_input(self) -> None:
        assert self._input is not None
        try:
            data = os.read(self._input, CONTENT_MAX)
        except OSError as error:
            raise HostError(f"cannot read standard input: {error.strerror}") from error
        if not data:
            self._input = None
            self._stream.send(encode_frame(FrameType.END))
            return
        if self._keys:
            data, self._detached = self._keys.feed(data)
        self._stream.send_input(data)

    def _pass_signal(self, number: int) -> None:
        if number in _SIZE_SIGNALS:
            if number == signal.SIGCONT and self._terminal:
                self._terminal.enter_raw()  # a shell may have set it otherwise meanwhile
            self._send_size()
            return
        now = time.monotonic()
        insisted = number == signal.SIGINT and now - self._interrupted < _INSIST_SECONDS
        if number == signal.SIGINT:
            self._interrupted = now
        self._stream.send(encode_signal(signal.SIGKILL if insisted else number))

    def _send_size(self) -> None:
        if self._terminal and (size := self._terminal.size()):
            self._stream.send(encode_resize(size))


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError as error:
            name = "standard output" if fd == 1 else "standard error"
            raise HostError(f"cannot write {name}: {error.strerror}") from error


def converse(stream: "Stream", wanted: Wish) -> int | None:
    """Be the program's operator until it ends; its exit status. None: ctrl-p ctrl-q let go of it before.

    The stream is closed. Raises what the daemon tells of, and ApiError where the daemon itself ends.
    """
    sys.stdout.flush()
    try:
        return _Conversation(stream, wanted).run()
    finally:
        stream.close()
