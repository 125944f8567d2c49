"""Moves a program's streams and a client's frames, both ways, within bounds."""

import trio

from kwhost.core.api.bodies import encode_body
from kwhost.core.api.failures import error_body, first_cause
from kwhost.core.api.http import HANGUP_LOOK_SECONDS, hung_up, wait_hangup
from kwhost.core.api.stream import (
    CONTENT_MAX,
    Frame,
    FrameDecoder,
    FrameType,
    decode_resize,
    decode_signal,
    encode_exit,
    encode_frame,
)
from kwhost.core.errors import ApiError
from kwhost.core.supervise.hosting import Session

__all__ = ["Pump"]

# Input that the program has not taken yet; beyond it the client has to wait, also with its signals.
_INPUT_FRAMES = 16
# Once the program has ended: output after so long a silence, or beyond so many bytes, is of processes that
# it left behind, and nobody waits for them.
_SILENT_SECONDS = 1.0
_REST_BYTES = 1024 * 1024


class Pump:
    """One client at one session, until the program has ended or the client has gone.

    A client that has sent all it wants to (half of its connection is closed) still gets all output.
    """

    def __init__(self, stream: trio.SocketStream, session: Session) -> None:
        self._stream = stream
        self._session = session
        self._sending = trio.Lock()
        self._input, self._input_taken = trio.open_memory_channel[bytes](_INPUT_FRAMES)
        self._input_ended = False
        self._program_ended = False
        self._receiving: dict[FrameType, trio.CancelScope] = {}

    async def run(self, received: bytes) -> None:
        """Until the end; `received` came in already. The client is told of errors, which are raised too."""
        try:
            await self._run(received)
        except Exception as error:
            cause = first_cause(error)
            if not isinstance(cause, trio.BrokenResourceError):
                await self._send(FrameType.ERROR, encode_body(error_body(cause)))
            raise cause from error

    async def _run(self, received: bytes) -> None:
        await self._send(FrameType.STARTED)
        async with trio.open_nursery() as whole:
            whole.start_soon(self._take_frames, received, whole.cancel_scope)
            whole.start_soon(self._feed_program)
            async with trio.open_nursery() as outputs:
                outputs.start_soon(self._pass_output, self._session.stdout, FrameType.STDOUT)
                if self._session.stderr:
                    outputs.start_soon(self._pass_output, self._session.stderr, FrameType.STDERR)
                status = await self._session.wait()
                self._program_ended = True
                for scope in self._receiving.values():
                    scope.deadline = trio.current_time() + _SILENT_SECONDS
            async with self._sending:
                await self._stream.send_all(encode_exit(status))
            whole.cancel_scope.cancel()

    async def _send(self, kind: FrameType, content: bytes = b"") -> None:
        async with self._sending:
            await self._stream.send_all(encode_frame(kind, content[:CONTENT_MAX]))

    async def _take_frames(self, received: bytes, whole: trio.CancelScope) -> None:
        decoder = FrameDecoder()
        for frame in decoder.feed(received):
            await self._act(frame)
        while data := await self._stream.receive_some(CONTENT_MAX):
            for frame in decoder.feed(data):
                await self._act(frame)
        await self._end_input()
        await wait_hangup(self._stream.socket)
        whole.cancel()

    async def _act(self, frame: Frame) -> None:
        match frame.type:
            case FrameType.STDIN if not self._input_ended:
                await self._queue_input(frame.content)
            case FrameType.END:
                await self._end_input()
            case FrameType.RESIZE:
                await self._session.resize(decode_resize(frame.content))
            case FrameType.SIGNAL:
                await self._session.signal(decode_signal(frame.content))
            case _:
                raise ApiError(f"a frame {frame.type.name} makes no sense from a client here")

    async def _queue_input(self, data: bytes) -> None:
        """Wait for room; a program that never reads must not hide that the client has gone."""
        while True:
            with trio.move_on_after(HANGUP_LOOK_SECONDS) as look:
                await self._input.send(data)
            if not look.cancelled_caught:
                return
            if hung_up(self._stream.socket):
                raise trio.BrokenResourceError("the client has gone")

    async def _end_input(self) -> None:
        self._input_ended = True
        await self._input.aclose()

    async def _feed_program(self) -> None:
        stdin = self._session.stdin
        async for data in self._input_taken:
            try:
                if stdin:
                    await stdin.send_all(data)
            except trio.BrokenResourceError:
                stdin = None  # the program reads no more; what comes is for nobody
        # A terminal (it has no stderr) is one descriptor for input and output.
        if stdin and self._session.stderr:
            await stdin.aclose()

    async def _pass_output(self, stream: trio.abc.ReceiveStream, kind: FrameType) -> None:
        rest = _REST_BYTES
        while rest > 0 and (data := await self._receive(stream, kind)):
            if self._program_ended:
                rest -= len(data)
            await self._send(kind, data)

    async def _receive(self, stream: trio.abc.ReceiveStream, kind: FrameType) -> bytes:
        with trio.CancelScope() as scope:
            self._receiving[kind] = scope
            if self._program_ended:
                scope.deadline = trio.current_time() + _SILENT_SECONDS
            try:
                return bytes(await stream.receive_some(CONTENT_MAX))
            except trio.BrokenResourceError:
                pass  # how a terminal that nobody holds any more shows its end
        return b""
