"""Watches instances and seals those whose time has come."""

import time
from collections.abc import Mapping

import trio
from kwhost.core.errors import KwhostError, NotFound
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.status import Health, InstanceStatus
from kwhost.hookspecs import PluginHost

from kwhost_seal.configuration import Configuration, Rule
from kwhost_seal.seals import Run, Seals, run_of

__all__ = ["Sealer"]

# How often instances are looked at when nothing was heard of them.
_ROUND_SECONDS = 1.0
# An instance whose policy cannot be changed within this time is tried again.
_REFRESH_SECONDS = 20.0


class Sealer:
    """Seals runs, and has the host ask for their policy again until it holds."""

    def __init__(self, host: PluginHost, configuration: Configuration, seals: Seals) -> None:
        self._host = host
        self._configuration = configuration
        self._seals = seals
        self._since = time.time()
        self._heard: set[Run] = set()
        self._applied: set[Run] = set()
        self._complained: set[Run] = set()
        self._removed: set[str] = set()
        self._wake = trio.Event()

    def see(self, event: Event) -> None:
        """An instance that was healthy for a moment only counts too."""
        if event.kind is EventKind.REMOVED and event.instance:
            self._removed.add(event.instance)
        if event.kind is not EventKind.HEALTHY:
            return
        for status in self._host.instances():
            run = run_of(status)
            # An event that is late may be about the run before this one.
            if run and status.id == event.instance and event.time >= run.started:
                self._heard.add(run)
                self._wake.set()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            self._wake = trio.Event()
            await self._look()
            with trio.move_on_after(_ROUND_SECONDS):
                await self._wake.wait()

    async def _look(self) -> None:
        instances = self._host.instances()
        running = {run: status for status in instances if (run := run_of(status))}
        for known in (self._heard, self._applied, self._complained):
            known.intersection_update(running)
        due = [run for run, status in running.items() if self._is_due(run, status)]
        # A daemon that starts does not know its instances yet: only those that are known can have ended.
        ended = self._removed.union(status.id for status in instances)
        kept = [run for run in self._seals if run in running or run.instance not in ended]
        self._removed.clear()
        if self._seals.set([*kept, *due]):
            await self._save()
        await self._apply(running)

    def _is_due(self, run: Run, status: InstanceStatus) -> bool:
        rule = self._rule_for(status)
        if rule is None:
            return False
        if run in self._heard or status.health is Health.HEALTHY:
            return True
        # A new daemon does not know at once which instances have a health check.
        return status.health is Health.NONE and time.time() >= (
            max(run.started, self._since) + rule.after_seconds
        )

    def _rule_for(self, status: InstanceStatus) -> Rule | None:
        return self._configuration.rule_for(status.tenant, status.name)

    async def _save(self) -> None:
        try:
            await trio.to_thread.run_sync(self._seals.save)
        except OSError as error:
            self._host.log(f"a restart of the daemon would forget what is sealed: {error}")

    async def _apply(self, running: Mapping[Run, InstanceStatus]) -> None:
        async with trio.open_nursery() as nursery:
            for run, status in running.items():
                if run in self._seals and run not in self._applied:
                    nursery.start_soon(self._refresh, run, status)

    async def _refresh(self, run: Run, status: InstanceStatus) -> None:
        who = f"{status.tenant}/{status.name}"
        try:
            with trio.fail_after(_REFRESH_SECONDS):
                await self._host.refresh_policy(run.instance)
        except NotFound:
            return  # it was removed meanwhile
        except (KwhostError, trio.TooSlowError) as error:
            if run not in self._complained:
                self._complained.add(run)
                self._host.log(f"cannot seal {who}, trying again: {str(error) or 'no answer'}")
            return
        self._applied.add(run)
        self._host.log(f"sealed {who}")
