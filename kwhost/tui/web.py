"""`kwhost tui --web`: the terminal interface in a browser.

The server is this process; each page has a process of its own that runs this module, and in it the
application.
"""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from kwhost.core.errors import HostError

__all__ = ["serve"]


def serve(
    sockets: Mapping[str, Path],
    *,
    port: int,
    control: bool,
    keymap: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Until SIGINT or SIGTERM; with `control` keys may change what runs. `say` is told the address.

    Raises HostError where there is no textual-serve, and for a port that is taken.
    """
    if find_spec("textual_serve") is None:
        raise HostError("--web needs textual-serve; install it with: pip install 'kwhost[web]'")
    paths = {name: os.fspath(socket.absolute()) for name, socket in sockets.items()}
    given = json.dumps({"sockets": paths, "control": control, "keymap": dict(keymap)})
    command = shlex.join([sys.executable, "-P", "-m", __name__, given])
    asyncio.run(_serve(command, port, say))


async def _serve(command: str, port: int, say: Callable[[str], None]) -> None:
    from kwhost.tui.web_server import WebServer  # is not there in every installation

    try:
        server = WebServer(command, port)
    except (OSError, OverflowError) as error:
        raise HostError(f"cannot serve on port {port} of 127.0.0.1: {error}") from error
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await server.start()
    try:
        say(server.address)
        await ended.wait()
    finally:
        await server.stop()


def _run_page(given: str) -> None:
    from kwhost.tui.app import run  # the server has no use for it

    wanted = json.loads(given)
    sockets = {name: Path(path) for name, path in wanted["sockets"].items()}
    run(sockets, read_only=not wanted["control"], keymap=wanted["keymap"])


if __name__ == "__main__":
    _run_page(sys.argv[1])
