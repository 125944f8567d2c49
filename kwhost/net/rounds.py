"""Work that many tasks ask for at the same time, done in rounds: one serves all who asked before it began."""

from collections.abc import Awaitable, Callable

import trio

__all__ = ["Rounds"]

_Work = Callable[[], Awaitable[object]]


class Rounds:
    """One round at a time. Work looks at what is wanted when it begins, so that anybody's is as good."""

    def __init__(self) -> None:
        self._turn = trio.Lock()
        self._asked = 0
        self._served = 0

    async def ask(self, work: _Work) -> None:
        """Return when a round that began after this call is over.

        Whoever began a round has its errors, and then the next who waits begins another one.
        """
        self._asked += 1
        number = self._asked
        async with self._turn:
            if self._served < number:
                await self._run(work)

    async def insist(self, work: _Work) -> None:
        """Have a round with this very work, which serves others too."""
        async with self._turn:
            await self._run(work)

    async def _run(self, work: _Work) -> None:
        served = self._asked
        await work()
        self._served = served
