"""`kwhost tui --web` in a real browser, where one is installed (chromium)."""

import contextlib
import http.server
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")

from tests.tui.browser import Page, browsing
from tests.tui.replay import Replay, load, play
from tests.tui.test_web import Served, children, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Bytes of a picture; of one without letters it takes a tenth.
_DRAWN = 20_000


def look(test: Callable[[Page, Served], Awaitable[None]], directory: Path) -> None:
    """With a page at the address that was printed, once it has shown instances."""

    async def run() -> None:
        replay = Replay(load("busy"))
        await replay.start()
        try:
            async with browsing(directory) as page:
                await page.open(f"http://{served.host}{served.path}/?token={served.token}")
                await page.shows(b"asker")
                await test(page, served)
        finally:
            await replay.stop()

    directory.mkdir()
    with serving() as served:
        play(run)


def test_the_page_draws_and_takes_keys_at_once_and_nothing_in_it_is_refused(tmp_path: Path) -> None:
    async def test(page: Page, _: Served) -> None:
        overview = await page.picture()
        assert len(overview) > _DRAWN
        page.written = b""
        await page.press("?")
        await page.shows(b"keys that work here")

        assert page.troubles == []
        assert await page.evaluate("document.cookie") == ""

    look(test, tmp_path / "browser")


def test_a_reload_and_a_new_beginning_work_by_the_cookie_but_the_address_no_more(tmp_path: Path) -> None:
    async def test(page: Page, served: Served) -> None:
        assert "token" not in await page.evaluate("location.href")
        page.written = b""
        await page.ask("Page.reload")
        await page.shows(b"asker")

        await page.press("q")
        await page.until("document.body.classList.contains('-closed')")
        page.written = b""
        await page.evaluate("document.activeElement.click()")
        await page.shows(b"asker")

        await page.open(f"http://{served.host}{served.path}/?token={served.token}")
        assert "used already" in await page.evaluate("document.body.innerText")

    look(test, tmp_path / "browser")


class _Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>another site</title><link rel=icon href='data:,'><body>")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def another_site() -> Iterator[str]:
    """On another port: browsers send cookies there too."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


_TRY_WEBSOCKET = """new Promise(done => {
  const socket = new WebSocket(%s);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})"""
_TRY_FETCH = 'fetch(%s, { credentials: "include" }).then(answer => answer.text()).catch(() => "refused")'
_TRY_FRAME = """new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => done(frame.contentDocument === null ? "loaded" : "empty");
  frame.src = %s;
  document.body.append(frame);
})"""


def test_a_page_of_another_site_in_the_same_browser_gets_nothing(tmp_path: Path) -> None:
    async def test(page: Page, served: Served) -> None:
        address = f"{served.host}{served.path}"
        with another_site() as site:
            await page.open(site)
            page.written, page.events = b"", []
            socket = _TRY_WEBSOCKET % json.dumps(f"ws://{address}/ws?width=80&height=24")

            assert await page.evaluate(socket) == "refused"
            assert await page.evaluate(_TRY_FETCH % json.dumps(f"http://{address}/")) == "refused"
            await page.evaluate(_TRY_FRAME % json.dumps(f"http://{address}/"))
            await page.wait_for(lambda: any("frame-ancestors" in text for text in page.troubles), "refusal")
            assert page.written == b""

    look(test, tmp_path / "browser")


def test_no_process_of_a_page_outlives_the_page(tmp_path: Path) -> None:
    async def test(page: Page, served: Served) -> None:
        assert children(served.pid)
        await page.open("about:blank")

        await page.wait_for(lambda: not children(served.pid), "its end")

    look(test, tmp_path / "browser")
