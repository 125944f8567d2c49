"""The way in: what is wanted of the network is changed here, by tasks, and becomes so."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import trio

from kwhost.core.errors import KwhostError, NetworkError
from kwhost.core.model.ids import InstanceId
from kwhost.net.host import HostNetwork
from kwhost.net.layout import lay_out, port_of, refuse_conflicts
from kwhost.net.names import LinkName, mirror_name
from kwhost.net.rounds import Rounds
from kwhost.net.wishes import Attachment, Network, Published, Wishes

__all__ = ["Reconciler"]


class _SharedError(Exception):
    """A change failed that may have served several tasks."""

    def __init__(self, reason: KwhostError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Reconciler:
    """Keeps a host's network as it is wanted. Tasks that change it at the same time share one change."""

    def __init__(self, host: HostNetwork) -> None:
        self._host = host
        self._rounds = Rounds()
        self._doubtful = trio.Lock()
        self._failures: dict[LinkName, NetworkError] = {}
        self.wishes = Wishes(owner=host.owner)

    async def reconcile(self) -> dict[LinkName, NetworkError]:
        """Repair what somebody or something else changed; says which links could not be."""
        await self._rounds.insist(partial(self._run, self._host.reconcile))
        return self._failures

    async def set_networks(self, networks: Iterable[Network], published: Iterable[Published] = ()) -> None:
        """Replace the tenants' networks and all published ports. Raises Conflict and NetworkError."""
        self._wish(replace(self.wishes, networks=tuple(networks), published=tuple(published)))
        await self._applied_now()

    async def publish(self, published: Iterable[Published]) -> None:
        """Replace all published ports, as when health changes. Raises Conflict and NetworkError."""
        self._wish(replace(self.wishes, published=tuple(published)))
        await self._applied_now()

    async def attach(self, *attachments: Attachment) -> None:
        """Attach instances, or change how they are. Where one fails, none of these is attached.

        Raises Conflict and NetworkError.
        """
        try:
            await self._attach(attachments)
        except _SharedError:  # perhaps about a wish of somebody else's, who has taken it back by now
            async with self._doubtful:
                try:
                    await self._attach(attachments)
                except _SharedError as shared:
                    raise shared.reason from None

    async def _attach(self, attachments: tuple[Attachment, ...]) -> None:
        previous = self._without(one.instance for one in attachments)
        self._wish(replace(self.wishes, attachments=(*previous, *attachments)))
        instances = tuple(one.instance for one in attachments)
        try:
            await self._applied_now()
        except KwhostError as reason:
            self._wish(self._wishes_without(instances))
            raise _SharedError(reason) from reason
        ports = {port_of(one) for one in attachments}
        links = ports | {mirror_name(port) for port in ports}
        for link in links & self._failures.keys():
            error = self._failures[link]
            await self.detach(*instances)
            raise error

    async def detach(self, *instances: InstanceId) -> None:
        """Remove what attached instances; also where nothing does. Raises NetworkError.

        Nothing passes their links any more; those in namespaces of their own the kernel removes with these.
        """
        self._wish(self._wishes_without(instances))
        await self._applied_now()

    def _wishes_without(self, instances: Iterable[InstanceId]) -> Wishes:
        """No port leads to one who is not attached."""
        leaving = frozenset(instances)
        published = (
            replace(one, targets=tuple(target for target in one.targets if target not in leaving))
            for one in self.wishes.published
        )
        return replace(self.wishes, attachments=self._without(leaving), published=tuple(published))

    def _without(self, instances: Iterable[InstanceId]) -> tuple[Attachment, ...]:
        leaving = frozenset(instances)
        return tuple(one for one in self.wishes.attachments if one.instance not in leaving)

    def _wish(self, wishes: Wishes) -> None:
        """Take what is wanted, unless it contradicts itself (Conflict): then nothing changes."""
        refuse_conflicts(wishes)
        if wishes.published != self.wishes.published:
            lay_out(wishes)
        self.wishes = wishes

    async def _applied_now(self) -> None:
        """Return when everything wanted so far was applied, by us or by somebody who came first."""
        await self._rounds.ask(partial(self._run, self._host.change))

    async def _run(self, work: Callable[[Wishes], dict[LinkName, NetworkError]]) -> None:
        # A change that was begun is finished: half of one would only have to be repaired.
        with trio.CancelScope(shield=True):
            self._failures = await trio.to_thread.run_sync(partial(work, self.wishes))
