"""What is in a line, besides its place in the chain. README.md describes it for readers of the log."""

import re

from kwhost.core.model.decisions import Call, Decision

__all__ = ["OBJECT_MAX", "decision_fields", "lost_fields", "repaired_fields"]

# In characters. Paths are shorter; what a guest makes longer is cut.
OBJECT_MAX = 4096
_TEXT_MAX = 1024

# Bytes that are no UTF-8 come as U+DC80 to U+DCFF (PEP 383), which strict readers of JSON refuse.
_BYTES_OR_NOTHING = re.compile("[\ud800-\udfff]")
_NOTHING = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def _plain(text: str, most: int = _TEXT_MAX) -> str:
    """The text for any reader of JSON."""
    return _BYTES_OR_NOTHING.sub("\ufffd", text[:most])


def _call_fields(call: Call) -> dict[str, object]:
    """A call. Arguments are texts, since many readers of JSON have no numbers of 64 bits."""
    fields: dict[str, object] = {
        "name": _plain(call.name),
        "arguments": [f"{argument & (2**64 - 1):#x}" for argument in call.arguments[:6]],
        "object": _plain(call.object, OBJECT_MAX),
        "pid": call.pid,
    }
    if _BYTES_OR_NOTHING.search(call.object, 0, OBJECT_MAX):
        exact = _NOTHING.sub("\ufffd", call.object[:OBJECT_MAX]).encode(errors="surrogateescape")
        fields["object_hex"] = exact.hex()
    return fields


def decision_fields(decision: Decision) -> dict[str, object]:
    """A decision."""
    rule = decision.rule
    return {
        "event": "decision",
        "time": round(decision.time, 6),
        "kind": decision.kind.value,
        "tenant": decision.tenant,
        "instance": decision.instance,
        "name": decision.name,
        "call": _call_fields(decision.call),
        "rule": rule
        and {"layer": _plain(rule.layer), "policy": _plain(rule.policy), "text": _plain(rule.text)},
        "error": decision.error,
        "by": _plain(decision.by),
        "lost": decision.lost,
    }


def lost_fields(time: float, count: int, since: float, reason: str) -> dict[str, object]:
    """Decisions that could not be written, from `since` (seconds since 1970) on."""
    return {
        "event": "lost",
        "time": round(time, 6),
        "since": round(since, 6),
        "count": count,
        "reason": _plain(reason),
    }


def repaired_fields(time: float, cut: int) -> dict[str, object]:
    """A line that a crash had left unfinished was removed: so many bytes."""
    return {"event": "repaired", "time": round(time, 6), "cut": cut}
