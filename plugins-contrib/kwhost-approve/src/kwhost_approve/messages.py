"""What goes to the webhook and what comes back. README.md describes both for who writes one."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from kwhost.core.model.decisions import Answer, Call, Question, Scope

__all__ = [
    "ANSWER_MAX",
    "VERSION",
    "Reply",
    "WebhookError",
    "answer_of",
    "question_body",
    "read_reply",
    "request_headers",
]

VERSION = 1
# In bytes.
ANSWER_MAX = 16 * 1024

_SCOPES = tuple(Scope)
# Bytes that are no UTF-8 come like this (PEP 383), which strict readers of JSON refuse.
_BYTES = re.compile("[\udc80-\udcff]")


class WebhookError(Exception):
    """There is no answer, or none that makes sense; the text says why, in one line."""


class Reply(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An answer. A misspelt key must not pass for one that was left out."""

    allow: bool
    scope: Scope = Scope.ONCE
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


def _call_fields(call: Call) -> dict[str, object]:
    """A call. Arguments are texts, since many readers of JSON have no numbers of 64 bits."""
    fields: dict[str, object] = {
        "name": call.name,
        "arguments": [f"{argument & (2**64 - 1):#x}" for argument in call.arguments],
        "object": _BYTES.sub("\ufffd", call.object),
        "pid": call.pid,
    }
    if _BYTES.search(call.object):
        fields["object_hex"] = call.object.encode(errors="surrogateescape").hex()
    return fields


def question_body(question: Question, *, sent: float, nonce: str) -> bytes:
    """The JSON of a question. ASCII: what a guest made up is escaped."""
    rule = question.rule
    fields = {
        "version": VERSION,
        "nonce": nonce,
        "sent": round(sent, 3),
        "id": question.id,
        "time": round(question.time, 3),
        "deadline": round(question.deadline, 3),
        "tenant": question.tenant,
        "instance": question.instance,
        "name": question.name,
        "call": _call_fields(question.call),
        "rule": {"layer": rule.layer, "policy": rule.policy, "text": rule.text},
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def request_headers(secret: bytes, body: bytes, *, sent: float) -> Mapping[str, str]:
    """The headers by which the webhook knows that the question is this host's, and new."""
    timestamp = str(int(sent))
    signature = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "User-Agent": "kwhost-approve",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Kwhost-Timestamp": timestamp,
        "Kwhost-Signature": f"v1={signature}",
    }


def read_reply(data: bytes) -> Reply:
    """Raises WebhookError."""
    try:
        return msgspec.json.decode(data, type=Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WebhookError(f"its answer is not as it should be: {error}") from error


def answer_of(reply: Reply, most: Scope) -> Answer:
    """The answer, for `most` at the longest."""
    scope = min(reply.scope, most, key=_SCOPES.index)
    return Answer(allow=reply.allow, scope=scope)
