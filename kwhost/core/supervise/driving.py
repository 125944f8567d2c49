"""Having the networks of running instances driven (see driver)."""

import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import trio

from kwhost.core.abi.messages import drive_network, fail_network, network_ready
from kwhost.core.errors import NetworkError
from kwhost.core.supervise.driver import NetworkDriver

__all__ = ["LOST", "NetworkUpkeep", "drive"]

Send = Callable[[bytes, tuple[int, ...]], Awaitable[bool]]
Tell = Callable[[str], Awaitable[None]]

LOST = "the process that drove its network has ended (pasta): nothing reaches it any more, nor it anything"
# Before the first attempt to drive a network again, and between the further ones.
_AGAIN_SECONDS = 1.0
_LATER_SECONDS = 10.0


async def drive(driver: NetworkDriver, namespaces: tuple[int, ...], send: Send) -> str:
    """Connect an instance and tell its `supervise`: why that failed, or ""."""
    user, net = namespaces
    try:
        # Whatever goes wrong from here on, `supervise` ends the process, or the kernel does.
        process, lifeline = await trio.to_thread.run_sync(driver.begin, user, net)
        try:
            await send(drive_network(), (process, lifeline))
        finally:
            os.close(process)
            os.close(lifeline)
        await trio.to_thread.run_sync(driver.finish)
    except (NetworkError, OSError) as error:
        await send(fail_network(str(error)), ())
        return str(error)
    await send(network_ready(), ())
    return ""


class NetworkUpkeep:
    """Keeps a hosted instance connected during one run; `tell` tells of what went wrong."""

    def __init__(self, driver: NetworkDriver, send: Send, tell: Tell) -> None:
        self._driver = driver
        self._send = send
        self._tell = tell

    async def connect(self, namespaces: tuple[int, ...], *, lost: bool) -> None:
        """Have it connected; again where the connection was `lost`. Closes the descriptors."""
        with ExitStack() as closing:
            for fd in namespaces:
                closing.callback(os.close, fd)
            if lost:
                await self._tell(f"{LOST}; it is started again")
                await trio.sleep(_AGAIN_SECONDS)
            while (failure := await drive(self._driver, namespaces, self._send)) and lost:
                await self._tell(f"its network cannot be connected again: {failure}")
                await trio.sleep(_LATER_SECONDS)

    def end(self) -> None:
        """After the run: nothing is left of it."""
        self._driver.end()
