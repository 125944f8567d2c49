"""The plugin's hooks."""

import trio
from kwhost.core.model.decisions import Answer, Question
from kwhost.hookspecs import PluginHost, hookimpl

from kwhost_approve import __version__
from kwhost_approve.configuration import Configuration, OnFailure
from kwhost_approve.messages import Reply, WebhookError, answer_of
from kwhost_approve.webhook import Webhook, open_webhook

__all__ = ["Approve", "plugin"]


class Approve:
    """The webhook while `serve` runs; outside of that every question fails."""

    __version__ = __version__

    def __init__(self) -> None:
        self._webhook: Webhook | None = None
        self._failures = 0

    @hookimpl
    def configuration_type(self) -> type[object]:
        """The section [plugins.approve]."""
        return Configuration

    @hookimpl
    async def serve(self, configuration: Configuration, task_status: trio.TaskStatus[None]) -> None:
        """Be able to ask."""
        self._webhook = await trio.to_thread.run_sync(open_webhook, configuration)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._webhook = None

    @hookimpl
    async def answer_question(
        self, question: Question, host: PluginHost, configuration: Configuration
    ) -> Answer | None:
        """What the webhook says."""
        if not configuration.is_about(question):
            return None
        try:
            reply = await self._ask(question)
        except WebhookError as error:
            self._note_failure(host, question, error)
            return Answer(allow=False) if configuration.on_failure is OnFailure.REFUSE else None
        self._note_success(host)
        answer = answer_of(reply, configuration.max_scope)
        if reply.reason:
            verb = "allows" if answer.allow else "refuses"
            host.log(f"{verb} question {question.id} of {question.tenant}/{question.name}: {reply.reason}")
        return answer

    async def _ask(self, question: Question) -> Reply:
        if self._webhook is None:
            raise WebhookError("the plugin has not started")
        return await self._webhook.ask(question)

    def _note_failure(self, host: PluginHost, question: Question, error: WebhookError) -> None:
        """The first of several says why: a guest can ask as often as it likes."""
        if not self._failures:
            host.log(f"question {question.id} of {question.tenant}/{question.name} failed: {error}")
        self._failures += 1

    def _note_success(self, host: PluginHost) -> None:
        if self._failures > 1:
            host.log(f"the webhook answers again; {self._failures} questions failed")
        self._failures = 0


plugin = Approve()
