"""Hosting in memory: what the API's tests talk to in place of instances."""

# ruff: noqa: A002 - the names are the protocol's

from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import trio
from trio.testing import memory_stream_pair

from kwhost.core.errors import Ambiguous, Conflict, NotFound
from kwhost.core.model.connections import Connection, Connections, ConnectionState
from kwhost.core.model.daemon import Changes, DaemonInfo, PluginStatus, ProcessEntry
from kwhost.core.model.decisions import Answer, Call, Question, QuestionId, RememberedAnswer, RuleRef
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import AuditRecord, Event, EventKind, EventPage
from kwhost.core.model.history import History, Sample
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.instance import TerminalSize
from kwhost.core.model.memory import InstanceMemory, MemoryKind, MemoryUse, ProcessMemory
from kwhost.core.model.network import PublishedPort, Transport
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.model.policy_views import Explanation, LayerView, PolicyView, RuleView
from kwhost.core.model.statistics import CallStatistics, InstanceStatistics
from kwhost.core.model.status import EndReason, Health, InstanceState, InstanceStatus, TenantStatus, Usage
from kwhost.core.model.storage import InstanceStorage, MountUse, Origin
from kwhost.core.model.tenant import Tenant
from kwhost.core.supervise.hosting import NO_SECRETS, ExecRequest
from tests.unit.fake_stores import FakeImages, FakeVolumes

__all__ = ["ACME", "RIVAL", "FakeHosting", "FakeSession", "make_definition"]

ACME = TenantName("acme")
RIVAL = TenantName("rival")
RULE = RuleRef(layer="instance", policy="p", text="ask mkdir")


def make_definition(tenant: str = "acme", name: str = "web", **fields: object) -> InstanceDefinition:
    definition = InstanceDefinition(
        tenant=TenantName(tenant), name=InstanceName(name), command=("sleep", "60")
    )
    return replace(definition, **fields)  # type: ignore[arg-type]


def make_status(id: InstanceId, definition: InstanceDefinition) -> InstanceStatus:
    return InstanceStatus(
        id=id,
        name=definition.name,
        tenant=definition.tenant,
        engine="direct",
        isolation="vm",
        state=InstanceState.CREATED,
        health=Health.NONE,
        pid=None,
        image=definition.image,
        command=definition.command,
        created=1000.0,
        started=None,
        ended=None,
        exit_code=None,
        reason=None,
        message="",
        restarts=0,
    )


class FakePolicies:
    """One policy, one question of each tenant, and one answer; `given` are the answers of the test."""

    def __init__(self) -> None:
        self.given: list[tuple[QuestionId, Answer, str]] = []
        self.forgotten: list[int] = []
        self.chosen: list[tuple[str, CallAction | None, str]] = []

    def names(self) -> tuple[str, ...]:
        return ("default",)

    def show(self, name: str) -> PolicyView:
        if name != "default":
            raise NotFound(f"there is no policy {name}")
        return PolicyView(layers=())

    def show_instance(self, id: InstanceId) -> PolicyView:
        rule = RuleView(text="errno:EPERM mkdir", policy="p", where="p.toml:1", hits=2, denied=1)
        return PolicyView(layers=(LayerView(name="instance", policy="p", rules=(rule,)),))

    def choices(self, id: InstanceId) -> tuple[CallChoice, ...]:
        return tuple(CallChoice(call=call, action=action) for call, action, _ in self.chosen if action)

    async def choose(self, id: InstanceId, call: str, action: CallAction | None, by: str) -> None:
        self.chosen.append((call, action, by))

    def explain(self, name: str, call: Sequence[str]) -> Explanation:
        return Explanation(lines=(name, *call))

    def explain_instance(self, id: InstanceId, call: Sequence[str]) -> Explanation:
        return Explanation(lines=(id, *call))

    def questions(self, tenants: Container[TenantName] | None) -> tuple[Question, ...]:
        asked = (make_question("1", ACME), make_question("2", RIVAL))
        return tuple(each for each in asked if tenants is None or each.tenant in tenants)

    async def answer(self, id: QuestionId, answer: Answer, by: str) -> Question:
        self.given.append((id, answer, by))
        return make_question(id, ACME)

    def answers(self, tenants: Container[TenantName] | None) -> tuple[RememberedAnswer, ...]:
        return tuple(
            make_remembered(tenant) for tenant in (ACME, RIVAL) if tenants is None or tenant in tenants
        )

    async def forget(self, number: int) -> RememberedAnswer:
        self.forgotten.append(number)
        return make_remembered(ACME)


def make_question(id: str, tenant: TenantName) -> Question:
    return Question(
        id=QuestionId(id),
        time=1000.0,
        deadline=1030.0,
        tenant=tenant,
        instance=InstanceId("0123456789ab"),
        name=InstanceName("web"),
        call=Call(name="mkdir", arguments=(1, 2), object="/x", pid=7),
        rule=RULE,
    )


def make_remembered(tenant: TenantName) -> RememberedAnswer:
    return RememberedAnswer(
        tenant=tenant,
        name=InstanceName("web"),
        rule=RULE,
        call="mkdir",
        object="/x",
        arguments=(),
        allow=True,
        by="operator root",
        time=1000.0,
        number=3,
    )


class FakeSession:
    """A program that the test plays: it reads `program_stdin` and writes `program_stdout`."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.stdin, self.program_stdin = memory_stream_pair()
        self.program_stdout, self.stdout = memory_stream_pair()
        self.program_stderr, stderr = memory_stream_pair()
        self.stderr = None if terminal else stderr
        self.sizes: list[TerminalSize] = []
        self.signals: list[int] = []
        self.closed = trio.Event()
        self._ended = trio.Event()
        self._status = 0

    async def end(self, status: int) -> None:
        await self.program_stdout.aclose()
        await self.program_stderr.aclose()
        self.exit(status)

    def exit(self, status: int) -> None:
        """End while something that it left behind keeps its output open."""
        self._status = status
        self._ended.set()

    async def resize(self, size: TerminalSize) -> None:
        await trio.lowlevel.checkpoint()
        self.sizes.append(size)

    async def signal(self, number: int) -> None:
        await trio.lowlevel.checkpoint()
        self.signals.append(number)

    async def wait(self) -> int:
        await self._ended.wait()
        return self._status

    async def aclose(self) -> None:
        self.closed.set()
        await trio.lowlevel.checkpoint()


class FakeHosting:
    """Two tenants; `alice` uses the one, `bob` the other. Methods that act note what they were asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tenant_table = {
            ACME: Tenant(name=ACME, users=("alice",), binds=(str(directory / "srv"),)),
            RIVAL: Tenant(name=RIVAL, users=("bob",)),
        }
        self.statuses: dict[InstanceId, InstanceStatus] = {}
        self.definitions: dict[InstanceId, InstanceDefinition] = {}
        self.calls: list[tuple[object, ...]] = []
        self.journal: list[Event] = []
        self.failure: Exception | None = None
        self.sessions: list[FakeSession] = []
        self.session_terminal = False
        self.cancelled = trio.Event()
        self.waiting = trio.Event()
        self.log_mark = 1
        self.log_over = False
        self.archive: list[bytes] = []
        self.policies = FakePolicies()
        self.images = FakeImages()
        self.volumes = FakeVolumes()
        self._changed = trio.Event()

    # For the test.

    def add(self, definition: InstanceDefinition, state: InstanceState = InstanceState.RUNNING) -> InstanceId:
        number = InstanceId(f"{len(self.statuses) + 1:012x}")
        self.definitions[number] = definition
        self.statuses[number] = replace(make_status(number, definition), state=state)
        return number

    def happen(self, tenant: TenantName | None, text: str = "", instance: InstanceId | None = None) -> None:
        seq = self.journal[-1].seq + 1 if self.journal else 1
        event = Event(time=1.0, kind=EventKind.NOTICE, text=text, tenant=tenant, instance=instance, seq=seq)
        self.journal.append(event)
        self.change()

    def change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def write_log(self, id: InstanceId, *lines: str) -> None:
        with (self.log_directory(id) / "log").open("a", encoding="utf-8", errors="surrogateescape") as log:
            for line in lines:
                log.write(f"2026-11-22T00:13:55.123456789Z stdout F {line}\n")
        self.log_mark += 1
        self.change()

    def _act(self, *call: object) -> None:
        self.calls.append(call)
        if self.failure:
            raise self.failure

    # Hosting.

    def info(self) -> DaemonInfo:
        return DaemonInfo(
            version="1",
            pid=1,
            started=1.0,
            state_dir="/s",
            run_dir="/r",
            configuration=None,
            cgroups="v2",
            kvm="hardware",
            tenants=2,
            instances=len(self.statuses),
            running=0,
        )

    def configured_tenants(self) -> dict[TenantName, Tenant]:
        return self.tenant_table

    def tenants(self) -> tuple[TenantStatus, ...]:
        return tuple(
            TenantStatus(
                name=name, users=tenant.users, isolation="vm", instances=0, running=0, used={}, quota={}
            )
            for name, tenant in self.tenant_table.items()
        )

    def instances(self) -> tuple[InstanceStatus, ...]:
        return tuple(self.statuses.values())

    def find(self, reference: str, tenants: Container[TenantName] | None) -> InstanceStatus:
        found = [
            status
            for status in self.statuses.values()
            if (tenants is None or status.tenant in tenants)
            and reference in (status.id, status.name, f"{status.tenant}/{status.name}")
        ]
        if not found:
            raise NotFound(f"there is no instance {reference}")
        if len(found) > 1:
            raise Ambiguous(f"{reference} means several instances")
        return found[0]

    def definition(self, id: InstanceId) -> InstanceDefinition:
        return self.definitions[id]

    async def count_traffic(self) -> None:
        pass

    def usage(self, id: InstanceId) -> Usage:
        return Usage(cpu_seconds=1.5, memory=4096)

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:
        call = CallStatistics(number=0, name="read", calls=3, failed=1, refused=0, seconds=0.5)
        return InstanceStatistics(
            start_seconds=0.01, exits=1, faults=2, processes=1, threads=1, peak_memory=1, calls=(call,)
        )

    def history(self, id: InstanceId) -> History:
        return History(seconds=10.0, samples=(Sample(time=1.0, memory=4096),))

    def plugins(self) -> tuple[PluginStatus, ...]:
        return (PluginStatus(name="x", version="1", hooks=(), state="active"),)

    async def processes(self, id: InstanceId) -> tuple[ProcessEntry, ...]:
        return (ProcessEntry(pid=7, user="0", threads=1, cpu_seconds=0.5, memory=1, command="sleep 60"),)

    async def connections(self, id: InstanceId) -> Connections:
        listens = Connection(
            transport=Transport.TCP,
            state=ConnectionState.LISTEN,
            local="10.0.0.2:80",
            remote="",
            unread=0,
            unsent=0,
        )
        return Connections(connections=(listens,))

    async def memory(self, id: InstanceId) -> InstanceMemory:
        numbers = dict.fromkeys(("mappings", "size", "resident", "share", "written", "swapped"), 1)
        uses = (MemoryUse(kind=MemoryKind.ANONYMOUS, **numbers),)
        process = ProcessMemory(pid=7, program="/bin/sleep", uses=uses, page_tables=4096)
        return InstanceMemory(uses=uses, page_tables=4096, processes=(process,))

    async def storage(self, id: InstanceId) -> InstanceStorage:
        root = MountUse(target="/", origin=Origin.ROOT, source="", file_system="overlay", read_only=False)
        return InstanceStorage(image="app:1", mounts=(root,))

    async def create(
        self,
        definition: InstanceDefinition,
        *,
        start: bool,
        confined: bool,
        secrets: Mapping[str, bytes] = NO_SECRETS,
    ) -> InstanceStatus:
        self._act("create", definition, start, confined)
        return self.statuses[self.add(definition)]

    async def start(self, id: InstanceId) -> None:
        self._act("start", id)

    async def stop(self, id: InstanceId, timeout: float | None) -> None:
        self._act("stop", id, timeout)
        self.statuses[id] = replace(self.statuses[id], state=InstanceState.EXITED, reason=EndReason.STOPPED)

    async def kill(self, id: InstanceId, signal: int) -> None:
        self._act("kill", id, signal)

    async def pause(self, id: InstanceId) -> None:
        self._act("pause", id)

    async def resume(self, id: InstanceId) -> None:
        self._act("resume", id)
        raise Conflict(f"{self.statuses[id].name} is not paused")

    async def restart(self, id: InstanceId, timeout: float | None) -> None:
        self._act("restart", id, timeout)

    async def publish(self, id: InstanceId, port: PublishedPort, *, confined: bool) -> None:
        self._act("publish", id, port, confined)

    async def unpublish(self, id: InstanceId, port: PublishedPort) -> None:
        self._act("unpublish", id, port)

    async def remove(self, id: InstanceId, *, force: bool) -> None:
        self._act("remove", id, force)
        del self.statuses[id]

    async def prune(self) -> tuple[InstanceStatus, ...]:
        self._act("prune")
        return tuple(status for status in self.statuses.values() if status.state is InstanceState.EXITED)

    async def wait_end(self, id: InstanceId) -> InstanceStatus:
        self.waiting.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()

    async def execute(self, id: InstanceId, request: ExecRequest) -> FakeSession:
        self._act("exec", id, request)
        self.sessions.append(FakeSession(terminal=request.terminal is not None))
        return self.sessions[-1]

    async def attach(self, id: InstanceId, *, stdin: bool, start: bool) -> FakeSession:
        self._act("attach", id, stdin, start)
        self.sessions.append(FakeSession())
        return self.sessions[-1]

    def log_directory(self, id: InstanceId) -> Path:
        directory = self.directory / "instances" / id
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    async def wait_log(self, id: InstanceId, mark: int) -> int | None:
        while self.log_mark == mark and not self.log_over:
            self.waiting.set()
            await self._changed.wait()
        return None if self.log_over else self.log_mark

    async def archive_get(self, id: InstanceId, path: str) -> AsyncGenerator[bytes, None]:
        self._act("archive-get", id, path)
        for piece in self.archive:
            yield piece
            await trio.lowlevel.checkpoint()

    async def archive_put(self, id: InstanceId, path: str, archive: AsyncIterator[bytes]) -> None:
        self._act("archive-put", id, path)
        self.archive = [piece async for piece in archive]

    def last_event(self) -> int:
        return self.journal[-1].seq if self.journal else 0

    async def events(
        self,
        after: int,
        tenants: Container[TenantName] | None,
        limit: int,
        instance: InstanceId | None = None,
    ) -> EventPage:
        await trio.lowlevel.checkpoint()
        looked = [event for event in self.journal if event.seq > after][:limit]
        shown = tuple(
            event
            for event in looked
            if (tenants is None or (event.tenant is not None and event.tenant in tenants))
            and instance in (None, event.instance)
        )
        return EventPage(shown, looked[-1].seq if looked else after)

    async def newest_events(
        self, count: int, tenants: Container[TenantName] | None, instance: InstanceId | None
    ) -> int:
        page = await self.events(0, tenants, len(self.journal), instance)
        newest = page.events[max(0, len(page.events) - count) :]
        return newest[0].seq - 1 if newest else self.last_event()

    async def wait_event(self, after: int) -> None:
        while self.last_event() <= after:
            self.waiting.set()
            await self._changed.wait()

    async def audit(self, limit: int, instance: InstanceId | None = None) -> tuple[AuditRecord, ...]:
        return ()

    async def reload(self) -> Changes:
        self._act("reload")
        return Changes(created=("acme/web",))

    async def shutdown(self, *, stop_instances: bool) -> None:
        self._act("shutdown", stop_instances)
