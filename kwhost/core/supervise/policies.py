"""The policy of one hosted instance: what its run is started with, what changes it, and what it decides."""

import errno
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import trio

from kwhost.core.abi.call_names import call_name
from kwhost.core.abi.messages import Event, EventType
from kwhost.core.abi.policy_counts import RuleCount
from kwhost.core.abi.policy_events import DeniedAction, DeniedCall, read_denied
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import Conflict, StoreError
from kwhost.core.model.decisions import Call, Decision, DecisionKind, RuleRef
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import EventKind
from kwhost.core.model.instance import Engine
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.model.status import InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.policy.carried import needs_new_landlock
from kwhost.core.policy.ceiling import needs_restart
from kwhost.core.policy.choices import check_choice, choose, with_choices
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.filters import needs_new_filters
from kwhost.core.policy.layers import plugin_layers
from kwhost.core.policy.model import Layer, Policy
from kwhost.core.policy.stored import NO_POLICIES, RunPolicies, decode_policies, encode_policies
from kwhost.core.policy.tables import table_for
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.decisions import DecisionLog, Line, decision_line, wall_time
from kwhost.core.supervise.questions import Questions

__all__ = ["InstancePolicy", "PolicyOwner", "PolicyRun", "PolicySource", "StartPolicy"]

_KINDS = {
    DeniedAction.LOG: DecisionKind.LOGGED,
    DeniedAction.ASK: DecisionKind.REFUSED,
    DeniedAction.ERRNO: DecisionKind.DENIED,
    DeniedAction.KILL: DecisionKind.KILLED,
}


class PolicySource(Protocol):
    """Where the policies of instances come from."""

    def configured(self, tenant: Tenant, definition: InstanceDefinition, *, confined: bool) -> list[Layer]:
        """What operators and users chose. Raises NotFound and ConfigErrors."""

    async def of_plugins(
        self, tenant: Tenant, definition: InstanceDefinition, status: InstanceStatus
    ) -> list[Layer]:
        """For a start. Raises LaunchError where a plugin fails."""

    async def of_plugins_again(
        self,
        tenant: Tenant,
        definition: InstanceDefinition,
        status: InstanceStatus,
        present: Sequence[Layer],
    ) -> list[Layer]:
        """While it runs: a plugin that fails leaves its layer as it is among the `present` ones."""

    def names(self) -> tuple[str, ...]:
        """Of all policies that there are."""

    def find(self, name: str) -> Policy:
        """Raises NotFound."""

    def check_engine(self, engine: str, layers: Sequence[Layer]) -> None:
        """Raise UsageError, naming a rule, where the engine cannot hold it."""

    def decided(self, decision: Decision) -> None:
        """Tell plugins. Never waits."""


class PolicyRun(Protocol):
    """The instance's present run; see run.InstanceRun."""

    @property
    def is_over(self) -> bool:
        """`supervise` has hung up."""

    async def replace_policy(self, table: bytes) -> str:
        """Put a compiled policy in force; what is said against it."""

    def rule_counts(self) -> dict[int, RuleCount]:
        """How often each rule decided."""


class PolicyOwner(Protocol):
    """The instance."""

    @property
    def record(self) -> InstanceRecord:
        """As it is now."""

    @property
    def tenant(self) -> Tenant:
        """Whose it is."""

    @property
    def run(self) -> PolicyRun | None:
        """None while it does not run."""

    def status(self) -> InstanceStatus:
        """As it is now."""

    async def keep_choices(self, choices: tuple[CallChoice, ...]) -> None:
        """Keep what operators chose for calls."""

    async def send(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send a control message; False where nobody takes it any more."""

    async def tell(self, kind: EventKind, text: str, data: Mapping[str, str]) -> None:
        """Keep an event about it."""

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Have something done that outlives whoever asked for it."""


class StartPolicy(NamedTuple):
    """For a new run: the compiled table and ceiling, and what is to be kept beside the run."""

    table: bytes
    ceiling: bytes
    kept: bytes


class InstancePolicy:
    """Of one instance, over all of its runs."""

    def __init__(
        self, owner: PolicyOwner, dirs: InstanceDirs, source: PolicySource, questions: Questions
    ) -> None:
        self._owner = owner
        self._dirs = dirs
        self._source = source
        self._questions = questions
        self.log = DecisionLog(owner.tell)
        self._changing = trio.Lock()
        self._last_counts: dict[int, RuleCount] = {}
        self.policies = NO_POLICIES

    # What holds.

    def _configured(self, choices: Sequence[CallChoice] | None = None) -> list[Layer]:
        """With these choices of operators; None: with those that were made."""
        record = self._owner.record
        layers = self._source.configured(self._owner.tenant, record.definition, confined=record.confined)
        return with_choices(layers, record.choices if choices is None else choices)

    async def prepare(self) -> StartPolicy:
        """For a start. Raises KwhostError."""
        owner = self._owner
        layers = tuple(self._configured())
        layers += tuple(await self._source.of_plugins(owner.tenant, owner.record.definition, owner.status()))
        self._source.check_engine(owner.record.engine, layers)
        table = await trio.to_thread.run_sync(table_for, layers)
        self.policies = RunPolicies(layers, layers, table.numbering())
        self._last_counts = {}
        return StartPolicy(table.data, table.ceiling, encode_policies(self.policies))

    def layers(self) -> tuple[Layer, ...]:
        """Those of the present run, else of the last one, else what is configured. Raises as `configured`."""
        return self.policies.layers or tuple(self._configured())

    def adopt(self) -> str:
        """Take over what an earlier daemon kept; the line about what is not known any more, or ""."""
        try:
            self.policies = decode_policies(self._dirs.read_policy() or b"")
        except StoreError as error:
            return f"{error}; it keeps them until it is started again, and rules go by their numbers"
        return ""

    async def refresh(self, *, ask_plugins: bool = False) -> bool:
        """Have what is configured now hold for the run; whether anything changed. With `ask_plugins` their
        layers are asked for again. Raises Conflict where it needs a restart, or is refused."""
        async with self._changing:
            return await self._put_in_force(
                (*self._configured(), *await self._of_plugins(ask_plugins=ask_plugins))
            )

    async def choose(self, call: str, action: CallAction | None, by: str) -> None:
        """Have an operator's choice for a call hold from now on, over all runs; None takes it back. Raises
        UsageError, and Conflict where it changes nothing or needs a restart."""
        with trio.CancelScope(shield=True):
            async with self._changing:
                before = self._owner.record.choices
                choices = choose(before, call, action)
                if set(choices) == set(before):
                    return
                plugins = plugin_layers(self.policies.layers)
                if action is CallAction.ALLOW:
                    check_choice([*self._configured(choose(before, call, None)), *plugins], call)
                await self._put_in_force((*self._configured(choices), *plugins))
                await self._owner.keep_choices(choices)
        said = {CallAction.ALLOW: "is allowed", CallAction.DENY: "is denied", None: "is decided as before"}
        data = {"call": call, "action": action.value if action else "as-before", "by": by}
        await self._owner.tell(EventKind.POLICY, f"{call} {said[action]} from here on, by {by}", data)

    async def _put_in_force(self, layers: tuple[Layer, ...]) -> bool:
        """Where it runs, and they are others than now; whether they are."""
        run = self._owner.run
        if run is None or run.is_over or layers == self.policies.layers:
            return False
        await self._check_ceiling(layers)
        await self._replace(run, layers)
        return True

    async def _of_plugins(self, *, ask_plugins: bool) -> list[Layer]:
        owner, present = self._owner, plugin_layers(self.policies.layers)
        if not ask_plugins:
            return present
        return await self._source.of_plugins_again(
            owner.tenant, owner.record.definition, owner.status(), present
        )

    async def _check_ceiling(self, layers: tuple[Layer, ...]) -> None:
        started = self.policies.started
        if not started:
            raise Conflict("needs a restart: the policies that it was started with are not known")
        reasons = await trio.to_thread.run_sync(needs_restart, started, layers)
        if self._owner.record.engine == Engine.PROCESS.value:
            reasons += await trio.to_thread.run_sync(needs_new_filters, started, layers)
            reasons += await trio.to_thread.run_sync(needs_new_landlock, started, layers)
        if reasons:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise Conflict(f"{reasons[0]}{more}")
        self._source.check_engine(self._owner.record.engine, layers)

    async def _replace(self, run: PolicyRun, layers: tuple[Layer, ...]) -> None:
        before = self.policies
        table, numbering = await trio.to_thread.run_sync(compile_layers, layers, before.numbering)
        after = RunPolicies(before.started, layers, numbering)
        # The numbers of the new rules are known before anything is told of them, and here after a crash.
        await trio.to_thread.run_sync(self._dirs.keep_policy, encode_policies(after))
        self.policies = after
        if refusal := await run.replace_policy(table):
            self.policies = after._replace(layers=before.layers)
            await trio.to_thread.run_sync(self._dirs.keep_policy, encode_policies(self.policies))
            raise Conflict(f"its policy is as it was: {refusal}")

    # What it did.

    def rule(self, number: int) -> RuleRef | None:
        """The rule with a number; None for 0. One that nobody knows is named by its number."""
        if number == 0:
            return None
        found = self.policies.numbering.rules.get(number)
        if found is None:
            return RuleRef(layer="?", policy="?", text=f"rule {number}")
        return RuleRef(layer=found.layer, policy=found.policy, text=found.text)

    def counts(self) -> dict[int, RuleCount]:
        """How often each rule decided in the present run, or in the last one."""
        return self._owner.run.rule_counts() if self._owner.run else self._last_counts

    async def on_event(self, event: Event) -> None:
        """A rule decided or asks, or an answer was taken."""
        if event.type is EventType.QUESTION:
            await self._questions.asked(self, event)
        elif event.type is EventType.ANSWERED:
            self._questions.ended(self, event)
        elif denied := read_denied(event):
            decision = self._decision(denied)
            self._source.decided(decision)
            # What the kernel is said not to have is counted: each start of a program tries some of it.
            if decision.error != "ENOSYS":
                self.log.add(decision_line(decision))

    async def end(self, run: PolicyRun) -> None:
        """The run is over: all is told of it, and its counters are kept for whoever asks."""
        self._last_counts = run.rule_counts()
        await self.log.finish()
        await self._questions.close(self.record.id)

    # For questions.

    @property
    def record(self) -> InstanceRecord:
        """See questions.Asker."""
        return self._owner.record

    async def send(self, message: bytes) -> bool:
        """See questions.Asker."""
        return await self._owner.send(message)

    def note(self, line: Line) -> None:
        """See questions.Asker."""
        self.log.add(line)

    def begin(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """See questions.Asker."""
        self._owner.spawn(function, *arguments)

    def _decision(self, denied: DeniedCall) -> Decision:
        record = self._owner.record
        return Decision(
            time=wall_time(denied.time_ns),
            kind=_KINDS[denied.action],
            tenant=record.tenant,
            instance=record.id,
            name=record.name,
            call=Call(
                name=call_name(denied.call),
                arguments=denied.arguments,
                object=denied.object,
                pid=denied.pid,
            ),
            rule=self.rule(denied.rule),
            error=errno.errorcode.get(denied.error, str(denied.error)) if denied.error else "",
            by="nobody: too many questions" if denied.action is DeniedAction.ASK else "",
            lost=denied.lost,
        )
