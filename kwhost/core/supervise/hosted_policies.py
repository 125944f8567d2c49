"""What policy_hosting.PolicyHosting is for hosted instances."""

# ruff: noqa: A002 - `id` is the word for it

from collections.abc import Callable, Container, Mapping, Sequence

from kwhost.core.abi.policy_counts import RuleCount
from kwhost.core.model.decisions import Answer, Question, QuestionId, RememberedAnswer
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.model.policy_views import Explanation, LayerView, PolicyView, RuleView
from kwhost.core.policy.explain import explain
from kwhost.core.policy.model import Layer
from kwhost.core.policy.numbering import NumberedRule
from kwhost.core.policy.show import effective_rules
from kwhost.core.policy.wording import parse_call
from kwhost.core.supervise.hosted import HostedInstance
from kwhost.core.supervise.policies import PolicySource
from kwhost.core.supervise.questions import Questions

__all__ = ["HostedPolicies"]

_NEVER = RuleCount(0, 0)


class HostedPolicies:
    """Implements PolicyHosting."""

    def __init__(
        self,
        source: PolicySource,
        questions: Questions,
        instance: Callable[[InstanceId], HostedInstance],
    ) -> None:
        self._source = source
        self._questions = questions
        self._instance = instance

    def names(self) -> tuple[str, ...]:
        """See PolicyHosting."""
        return self._source.names()

    def show(self, name: str) -> PolicyView:
        """See PolicyHosting."""
        layer = Layer(name, self._source.find(name))
        return PolicyView(layers=(_show_layer(layer, None),))

    def show_instance(self, id: InstanceId) -> PolicyView:
        """See PolicyHosting."""
        policy = self._instance(id).policy
        counts = policy.counts()
        counted = {rule: counts.get(number) for rule, number in policy.policies.numbering.numbers().items()}
        return PolicyView(layers=tuple(_show_layer(layer, counted) for layer in policy.layers()))

    def choices(self, id: InstanceId) -> tuple[CallChoice, ...]:
        """See PolicyHosting."""
        return self._instance(id).record.choices

    async def choose(self, id: InstanceId, call: str, action: CallAction | None, by: str) -> None:
        """See PolicyHosting."""
        await self._instance(id).policy.choose(call, action, by)

    def explain(self, name: str, call: Sequence[str]) -> Explanation:
        """See PolicyHosting."""
        layers = [Layer(name, self._source.find(name))]
        return Explanation(lines=tuple(explain(layers, parse_call(call))))

    def explain_instance(self, id: InstanceId, call: Sequence[str]) -> Explanation:
        """See PolicyHosting."""
        layers = self._instance(id).policy.layers()
        return Explanation(lines=tuple(explain(layers, parse_call(call))))

    def questions(self, tenants: Container[TenantName] | None) -> tuple[Question, ...]:
        """See PolicyHosting."""
        return self._questions.list(tenants)

    async def answer(self, id: QuestionId, answer: Answer, by: str) -> Question:
        """See PolicyHosting."""
        return await self._questions.answer(id, answer, by)

    def answers(self, tenants: Container[TenantName] | None) -> tuple[RememberedAnswer, ...]:
        """See PolicyHosting."""
        return self._questions.remembered.list(tenants)

    async def forget(self, number: int) -> RememberedAnswer:
        """See PolicyHosting."""
        return await self._questions.remembered.forget(number)


def _show_layer(layer: Layer, counted: Mapping[NumberedRule, RuleCount | None] | None) -> LayerView:
    """`counted` None: nothing runs under it."""
    rules = []
    for rule in effective_rules(layer.policy):
        hits, denied = None, None
        if counted is not None:
            hits, denied = counted.get(NumberedRule(layer.name, rule.policy, rule.text)) or _NEVER
        rules.append(RuleView(**rule._asdict(), hits=hits, denied=denied))
    return LayerView(name=layer.name, policy=layer.policy.name, rules=tuple(rules))
