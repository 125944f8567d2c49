"""Follows the daemon: what there is, what it uses, what happens; and begins again when the daemon does."""

import asyncio
from collections.abc import Callable, Sequence

from kwhost.core.api.requests import ServerEvent
from kwhost.core.api.types import InstanceUse
from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.daemon import DaemonInfo
from kwhost.core.model.decisions import Question
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.status import InstanceStatus, TenantStatus
from kwhost.tui.api import AsyncClient
from kwhost.tui.messages import Connected, FromDaemon, Happened, Listed, Lost, Measured
from kwhost.tui.records import read

__all__ = ["Watch"]

_RETRY_SECONDS = 1.0
# Changes come in bursts; after each reading this long nothing is read again.
_CALM_SECONDS = 0.3
# What is used of quotas changes without an event.
_READ_SECONDS = 5.0
# They change nothing that is listed.
_QUIET = (EventKind.LOGGED, EventKind.DENIED, EventKind.KILLED, EventKind.NOTICE)


class Watch:
    """`post` takes the messages, `monotonic` gives the time of measurements."""

    def __init__(
        self, client: AsyncClient, post: Callable[[FromDaemon], object], monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._post = post
        self._monotonic = monotonic
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Read again what there is, soon."""
        self._changed.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._follow()
            except* KwhostError as errors:
                self._post(Lost(str(_first(errors))))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        info = read(await self._client.request("GET", "/v1/info"), DaemonInfo)
        self._changed.set()
        self._post(Connected(info))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list())
            group.create_task(self._measure())
            group.create_task(self._hear())

    async def _list(self) -> None:
        while True:
            self._changed.clear()
            statuses, tenants, questions = await asyncio.gather(
                self._client.request("GET", "/v1/instances", {"all": True}),
                self._client.request("GET", "/v1/tenants"),
                self._client.request("GET", "/v1/questions"),
            )
            self._post(
                Listed(
                    read(statuses, tuple[InstanceStatus, ...]),
                    read(tenants, tuple[TenantStatus, ...]),
                    read(questions, tuple[Question, ...]),
                )
            )
            await asyncio.sleep(_CALM_SECONDS)
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _measure(self) -> None:
        async for events in self._client.events("/v1/stats", {"follow": True}):
            for event in events:
                if event.name == "stats":
                    self._post(Measured(read(event.data, tuple[InstanceUse, ...]), self._monotonic()))
        raise ApiError("the daemon has ended")

    async def _hear(self) -> None:
        async for events in self._client.events("/v1/events", {"follow": True}):
            self._tell(events)
        raise ApiError("the daemon has ended")

    def _tell(self, events: Sequence[ServerEvent]) -> None:
        happened = [read(event.data, Event) for event in events if event.name == "event"]
        left_out = sum(int(event.data["count"]) for event in events if event.name == "left-out")
        if left_out or any(event.kind not in _QUIET for event in happened):
            self._changed.set()
        self._post(Happened(happened, left_out))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
