"""Waiting for something to change that is then looked at."""

import trio

__all__ = ["Bell"]


class Bell:
    """Whoever waits is woken by the next ring; rings that nobody waits for are not kept."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        """Wait for the next ring."""
        await self._event.wait()
