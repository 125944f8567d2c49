"""Pins in the kernel: done before an answer is sent, so that the connection that follows works."""

from collections.abc import Iterable, Mapping

import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Address, NameRule
from kwhost.net.names import Owner, table_name
from kwhost.net.nft import Nft
from kwhost.net.resolver.pins import Pins

__all__ = ["Pinning"]


class Pinning:
    """One transaction at a time, in a thread: the kernel may take milliseconds."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self._pins = Pins(owner)
        self._permitted: Mapping[Address, Iterable[NameRule]] = {}
        self._is_clean = False
        self._turn = trio.Lock()
        self._nft: Nft | None = None

    def count(self) -> int:
        """How many addresses may be called, of all instances."""
        return self._pins.count()

    def lacks(
        self, own: Address, targets: Iterable[Address], rules: tuple[NameRule, ...], ttl: int
    ) -> list[Address]:
        """Those of `targets` that `own` may not call for all of the next `ttl` seconds."""
        return self._pins.lacking(own, targets, rules, trio.current_time() + max(ttl, 1))

    async def allow(
        self, own: Address, targets: Iterable[Address], rules: tuple[NameRule, ...], ttl: int
    ) -> None:
        """Return when `own` may call `targets`. Raises NetworkError, and then it may call none of them."""
        async with self._turn:
            # What was taken back while this waited stays so.
            rules = tuple(rule for rule in rules if rule in self._permitted.get(own, ()))
            if not (lacking := self.lacks(own, targets, rules, ttl)):
                return
            now = trio.current_time()
            change = self._pins.add(own, lacking, rules, ttl, now)
            try:
                try:
                    await self._run(change)
                except NetworkError:  # somebody else changed the tables
                    await self._run(self._pins.everything(now))
            except NetworkError:
                self._pins.drop(own, lacking)
                raise

    def permit(self, permitted: Mapping[Address, Iterable[NameRule]]) -> None:
        """From now on others are not allowed any more; `repair` takes back what they have."""
        self._permitted = permitted

    async def repair(self) -> None:
        """Return when the tables say what is held and permitted, whoever changed them.

        Raises NetworkError.
        """
        async with self._turn:
            if self._is_clean and not self._pins.count():
                return
            now = trio.current_time()
            change = self._pins.keep(self._permitted, now)
            try:
                await self._run(change if self._is_clean else self._pins.everything(now))
            except NetworkError:
                # Before the first network there are no tables, and nothing is pinned.
                if await trio.to_thread.run_sync(self._are_tables_there):
                    await self._run(self._pins.everything(now))
            self._is_clean = True

    async def _run(self, text: str) -> None:
        await trio.to_thread.run_sync(lambda: self._tables().run(text))

    def _are_tables_there(self) -> bool:
        return self._tables().has_table("inet", table_name(self.owner))

    def _tables(self) -> Nft:
        if self._nft is None:
            self._nft = Nft()
        return self._nft
