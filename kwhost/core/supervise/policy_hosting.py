"""The operations behind the API that concern policies: showing them, questions and answers.

As those of hosting.Hosting, they raise KwhostError, having changed nothing.
"""

# ruff: noqa: A002 - `id` is the word for it

from collections.abc import Container, Sequence
from typing import Protocol

from kwhost.core.model.decisions import Answer, Question, QuestionId, RememberedAnswer
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.model.policy_views import Explanation, PolicyView

__all__ = ["PolicyHosting"]


class PolicyHosting(Protocol):
    """Policies, questions and answers of this host."""

    def names(self) -> tuple[str, ...]:
        """The built-in policies and those of the configuration."""

    def show(self, name: str) -> PolicyView:
        """A policy. Raises NotFound."""

    def show_instance(self, id: InstanceId) -> PolicyView:
        """All layers of an instance, with the rules' counters; of one that does not run those of its last
        run, or else of its next. Raises NotFound."""

    def choices(self, id: InstanceId) -> tuple[CallChoice, ...]:
        """The calls that operators allowed or denied an instance. Raises NotFound."""

    async def choose(self, id: InstanceId, call: str, action: CallAction | None, by: str) -> None:
        """Allow or deny a call to an instance from now on, over all its runs; None: as its policy says.
        Raises NotFound, UsageError, and Conflict where another layer refuses the call too, where the rules
        on calls allow it already, or where it needs a restart."""

    def explain(self, name: str, call: Sequence[str]) -> Explanation:
        """What a policy decides on a call, as written on a command line. Raises NotFound, UsageError."""

    def explain_instance(self, id: InstanceId, call: Sequence[str]) -> Explanation:
        """What all layers of an instance decide on a call. Raises NotFound, UsageError."""

    def questions(self, tenants: Container[TenantName] | None) -> tuple[Question, ...]:
        """The open questions of tenants (None: of all), oldest first."""

    async def answer(self, id: QuestionId, answer: Answer, by: str) -> Question:
        """Answer a question. Raises NotFound, Conflict, StoreError."""

    def answers(self, tenants: Container[TenantName] | None) -> tuple[RememberedAnswer, ...]:
        """What is remembered of tenants (None: of all), oldest first."""

    async def forget(self, number: int) -> RememberedAnswer:
        """Forget an answer: the same will be asked again. Raises NotFound, StoreError."""
