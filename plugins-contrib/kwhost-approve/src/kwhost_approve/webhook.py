"""Asking the webhook: one request for each question, bounded in time and number."""

import os
import ssl
import time
from pathlib import Path

import trio
from kwhost.core.errors import HostError
from kwhost.core.model.decisions import Question

from kwhost_approve.configuration import Configuration, read_secret
from kwhost_approve.http import Unreachable, place_of, post
from kwhost_approve.messages import Reply, WebhookError, question_body, read_reply, request_headers

__all__ = ["Webhook", "open_webhook"]

# The answer must be with the host before the question's deadline.
_MARGIN_SECONDS = 0.25
# The pause before a connection is tried again doubles from the first to the second.
_RETRY_SECONDS = (0.05, 1.0)


class Webhook:
    """The webhook of a configuration; made by open_webhook."""

    def __init__(self, configuration: Configuration, secret: bytes, trust: ssl.SSLContext) -> None:
        self._place = place_of(configuration.url)
        self._timeout = configuration.timeout_seconds
        self._secret = secret
        self._trust = trust
        self._places = trio.Semaphore(configuration.concurrency)

    async def ask(self, question: Question) -> Reply:
        """Its answer, in time before the question's deadline. Raises WebhookError."""
        patience = max(0.0, min(self._timeout, question.deadline - time.time() - _MARGIN_SECONDS))
        reasons: list[str] = []
        with trio.move_on_after(patience):
            async with self._places:
                return await self._ask_until_reached(question, reasons)
        reason = f": {reasons[-1]}" if reasons else ""
        raise WebhookError(f"no answer within {patience:.3g} s{reason}")

    async def _ask_until_reached(self, question: Question, reasons: list[str]) -> Reply:
        """Try again while there is no connection, and note why; what may have been asked is not asked
        twice."""
        pause = _RETRY_SECONDS[0]
        while True:
            sent = time.time()
            body = question_body(question, sent=sent, nonce=os.urandom(16).hex())
            headers = request_headers(self._secret, body, sent=sent)
            try:
                return read_reply(await post(self._place, self._trust, headers, body))
            except Unreachable as error:
                reasons.append(str(error))
            await trio.sleep(pause)
            pause = min(2 * pause, _RETRY_SECONDS[1])


def open_webhook(configuration: Configuration) -> Webhook:
    """Read the secret and the authorities: files, so not for the loop. Raises HostError."""
    secret = read_secret(Path(configuration.secret_file))
    try:
        trust = ssl.create_default_context(cafile=configuration.ca_file or None)
    except OSError as error:  # also what is wrong within the file
        raise HostError(f"cannot use the authorities in {configuration.ca_file}: {error}") from error
    return Webhook(configuration, secret, trust)
