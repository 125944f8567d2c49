"""A terminal in an instance: a shell, or its own program's."""

import asyncio
import json
import shlex
from collections.abc import Sequence

from textual import on, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from kwhost.core.api.client import Stream
from kwhost.core.api.failures import revive
from kwhost.core.api.requests import instance_path
from kwhost.core.api.stream import Frame, FrameType, decode_exit, encode_resize
from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.instance import TerminalSize
from kwhost.core.model.text import clean
from kwhost.tui.api import AsyncClient
from kwhost.tui.widgets.terminal import Terminal

__all__ = ["Console"]

_SHELL = ("/bin/sh", "-c", "exec $(command -v bash || echo sh)")
# Between two looks at the keyboard.
_SLICE = 4096


class Console(Screen[None]):
    """Until the program ends or the operator lets go."""

    DEFAULT_CSS = """
    Console > Static {
        height: 1; padding: 0 1; background: $primary; text-wrap: nowrap; text-overflow: ellipsis;
    }
    Console > Static.-ended { background: $warning; color: $background; }
    """

    def __init__(self, client: AsyncClient, kind: str, name: str, command: Sequence[str] = ()) -> None:
        super().__init__()
        self._client = client
        self._kind = kind
        self._target = name
        self._command = tuple(command)
        self._stream: Stream | None = None
        self._ended = False
        self._readable = asyncio.Event()

    def compose(self) -> ComposeResult:
        """The terminal, and how to leave it."""
        yield Static("", id="console-title", markup=False)
        yield Terminal(self._send)

    def on_mount(self) -> None:
        """Connect once the size is known."""
        self._say("connecting")
        self.query_one(Terminal).focus()
        self.call_after_refresh(self._converse)

    def _say(self, text: str, *, ended: bool = False) -> None:
        words = ["attach", self._target]
        if self._kind == "exec":
            words = ["exec", "-it", self._target, "--", *(self._command or ("sh",))]
        line = f"$ kwhost {shlex.join(words)}   {text}"
        title = self.query_one("#console-title", Static)
        title.update(clean(line))
        title.set_class(ended, "-ended")

    @work
    async def _converse(self) -> None:
        try:
            stream = self._stream = await self._open()
        except KwhostError as error:
            self._end(str(error))
            return
        self._say("ctrl+p ctrl+q lets go")
        loop = asyncio.get_running_loop()
        loop.add_reader(stream.fileno(), self._readable.set)
        self._readable.set()  # some may have come with the answer
        try:
            while not self._ended:
                await self._readable.wait()
                self._readable.clear()
                for frame in stream.receive():
                    await self._take(frame)
        except KwhostError as error:
            self._end(str(error))
        finally:
            loop.remove_reader(stream.fileno())
            loop.remove_writer(stream.fileno())
            stream.close()
            self._stream = None

    async def _open(self) -> Stream:
        path = instance_path(self._target, self._kind)
        emulator = self.query_one(Terminal).emulator
        if self._kind == "attach":
            definition = await self._client.request("GET", instance_path(self._target, "definition"))
            stream = await self._client.upgrade(path, {"stdin": bool(definition["interactive"])})
            # Another size first: a program draws its screen anew only when the size changes.
            for rows in (emulator.rows + 1, emulator.rows):
                stream.send(encode_resize(TerminalSize(rows=rows, columns=emulator.columns)))
            return stream
        size = {"rows": emulator.rows, "columns": emulator.columns}
        body = {
            "command": self._command or _SHELL, "environment": {"TERM": "xterm-256color"},
            "terminal": size, "interactive": True,
        }  # fmt: skip
        return await self._client.upgrade(path, body=body)

    async def _take(self, frame: Frame) -> None:
        terminal = self.query_one(Terminal)
        match frame.type:
            case FrameType.STDOUT | FrameType.STDERR:
                for start in range(0, len(frame.content), _SLICE):
                    terminal.feed(frame.content[start : start + _SLICE])
                    await asyncio.sleep(0)
            case FrameType.EXIT:
                self._end(f"ended with {decode_exit(frame.content)}")
            case FrameType.ERROR:
                self._end(str(_told(frame)))
            case _:
                pass

    def _end(self, reason: str) -> None:
        self._ended = True
        self._say(f"{reason}; any key goes back", ended=True)

    def _send(self, data: bytes) -> None:
        """Keys; after the end any of them goes back."""
        if self._ended:
            self.dismiss()
        elif self._stream:
            self._stream.send_input(data)
            self._send_rest()

    def _send_rest(self) -> None:
        """What the daemon could not take yet follows when it can."""
        if not self._stream:
            return
        loop = asyncio.get_running_loop()
        self._stream.flush()
        if self._stream.pending:
            loop.add_writer(self._stream.fileno(), self._send_rest)
        else:
            loop.remove_writer(self._stream.fileno())

    @on(Terminal.Resized)
    def _resized(self, event: Terminal.Resized) -> None:
        if self._stream and not self._ended:
            self._stream.send(encode_resize(TerminalSize(rows=event.rows, columns=event.columns)))
            self._send_rest()

    @on(Terminal.Detach)
    def _let_go(self) -> None:
        self._ended = True
        self._readable.set()
        self.dismiss()

    def on_unmount(self) -> None:
        """A program of exec ends with its terminal."""
        self._ended = True
        self._readable.set()


def _told(frame: Frame) -> KwhostError:
    try:
        return revive(json.loads(frame.content))
    except ValueError:
        return ApiError("the daemon reports an error that is none")
