"""A real browser, steered over the protocol of its developers' tools."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["EXECUTABLES", "Page", "browsing", "find_browser"]

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")
# It starts within seconds; on a busy machine it takes its time.
_SECONDS = 60.0


def find_browser() -> str | None:
    """The first of EXECUTABLES that is installed."""
    return next((path for name in EXECUTABLES if (path := shutil.which(name))), None)


class Page:
    """What is open in the browser. `events` are all that it told of, `written` what came over websockets."""

    def __init__(self, tools: aiohttp.ClientWebSocketResponse) -> None:
        self._tools = tools
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.events: list[tuple[str, Any]] = []
        self.written = b""

    async def listen(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self._tools:
            told = json.loads(message.data)
            if answer := self._answers.pop(told.get("id", 0), None):
                answer.set_result(told)
            elif method := told.get("method"):
                self.events.append((method, told["params"]))
                if method == "Network.webSocketFrameReceived":
                    frame = told["params"]["response"]
                    content = frame["payloadData"]
                    self.written += base64.b64decode(content) if frame["opcode"] == 2 else content.encode()

    async def ask(self, method: str, **parameters: Any) -> Any:
        """One request, such as "Page.reload", and its answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._tools.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, _SECONDS)
        assert "error" not in told, f"{method}: {told['error']}"
        return told["result"]

    async def evaluate(self, expression: str) -> Any:
        """The value of JavaScript in the page, awaited where it is a promise."""
        told = await self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Poll until it holds."""
        try:
            async with asyncio.timeout(_SECONDS):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what} did not come: {self.troubles}") from None

    async def open(self, address: str) -> None:
        """Go there, and wait until it is loaded."""
        await self.ask("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def until(self, expression: str) -> None:
        """Poll until JavaScript in the page says so."""
        async with asyncio.timeout(_SECONDS):
            while not await self.evaluate(expression):
                await asyncio.sleep(0.02)

    async def shows(self, text: bytes) -> None:
        """Wait until the terminal was told to draw it, and has drawn."""
        await self.wait_for(lambda: text in self.written, repr(text))
        await self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def press(self, key: str) -> None:
        """Type one character."""
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=key, key=key)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])

    @property
    def troubles(self) -> list[str]:
        """Errors of scripts, and what was not let through, such as by the content security policy."""
        found = []
        for method, told in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(told["exceptionDetails"]))
            elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
                found.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        return found


@contextmanager
def _process(directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    executable = find_browser()
    assert executable
    command = [
        executable, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--remote-debugging-port=0", "--window-size=1200,800", f"--user-data-dir={directory}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
    ]  # fmt: skip
    with (
        (directory / "errors").open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[Page]:
    """A browser that keeps everything in `directory`, and ends with its processes."""
    with _process(directory) as process:
        port = await _port(process, directory)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as tools:
                page = Page(tools)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.ask(f"{domain}.enable")
                await page.ask("Emulation.setFocusEmulationEnabled", enabled=True)  # as of a window in front
                yield page
                listening.cancel()


async def _port(process: "subprocess.Popen[bytes]", directory: Path) -> int:
    """Where its tools listen."""
    told = directory / "DevToolsActivePort"
    async with asyncio.timeout(_SECONDS):
        while not (told.exists() and told.read_text()):
            assert process.poll() is None, (directory / "errors").read_text(errors="replace")[-2000:]
            await asyncio.sleep(0.05)
    return int(told.read_text().splitlines()[0])
