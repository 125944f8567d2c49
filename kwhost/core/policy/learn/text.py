"""A learnt policy as a file: one policy table, with comments that say where it comes from."""

import errno
import json
from collections.abc import Iterable, Sequence

from kwhost.core.policy.learn.calls import ALWAYS, LearntCalls, LearntRule
from kwhost.core.policy.learn.files import LearntFile
from kwhost.core.policy.learn.network import LearntAddress
from kwhost.core.policy.learn.observed import Refusal
from kwhost.core.policy.model import DENY, Verdict

__all__ = ["comment", "quote", "write_calls", "write_files", "write_head", "write_network"]

_WIDTH = 110
_REFUSALS_MAX = 100
_COMMAND_MAX = 200


def quote(text: str) -> str:
    """A text in quotation marks; nothing in it can end a line or a comment."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def comment(text: str) -> str:
    """A line that says something to readers."""
    return f"# {text}\n"


def _wrap(words: Iterable[str]) -> str:
    """Lines of a list's elements."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}," if lines[-1] else f"    {word},"
    return "".join(f"{line}\n" for line in lines if line)


def write_head(command: Sequence[str], base: str, refusals: Sequence[Refusal]) -> str:
    """What was learnt from, and what was refused meanwhile."""
    words = " ".join(map(quote, command))
    text = comment(f"Learnt from: {words[:_COMMAND_MAX]}{'...' if len(words) > _COMMAND_MAX else ''}")
    text += comment(
        f"while the policy {quote(base)} was in force: all that it did, and no more, is permitted."
    )
    if refusals:
        text += "#\n" + comment("That policy refused, and so does this one:")
    for refusal in refusals[:_REFUSALS_MAX]:
        values = ", ".join(f"{value:#x}" for value in refusal.seen.values)
        about = quote(refusal.text) if refusal.text else values
        text += comment(f"  {refusal.seen.call} {about}".rstrip() + f": {_verdict(refusal)}")
    if len(refusals) > _REFUSALS_MAX:
        text += comment(f"  and {len(refusals) - _REFUSALS_MAX} more")
    return text + '\ndefault = "deny"\n'


def _verdict(refusal: Refusal) -> str:
    return errno.errorcode.get(refusal.error, str(refusal.error)) if refusal.error else "killed"


def write_files(files: Sequence[LearntFile]) -> str:
    """The rules on files. Without any, files would not be judged at all."""
    lines = []
    for rule in files:
        many = f" # {rule.names} names" if rule.names > 1 else ""
        lines.append(f"    {{ path = {quote(rule.pattern)}, access = {quote(str(rule.access))} }},{many}\n")
    return "\nfiles = [\n" + ("".join(lines) or '    { path = "/**", access = "" },\n') + "]\n"


def _port(port: int | str) -> str:
    return quote(port) if isinstance(port, str) else str(port)


def write_network(rules: Sequence[LearntAddress]) -> str:
    """The rules on the network, if any."""
    lines = []
    for rule in rules:
        ports = f"[{', '.join(map(_port, rule.ports))}]"
        parts = [f"to = {quote(rule.to)}"] if rule.to else [f"listen = {ports}"]
        parts += [f"ports = {ports}"] if rule.to and rule.ports else []
        parts += [f"protocol = {quote(rule.protocol.value)}"] if rule.protocol else []
        lines.append(f"    {{ {', '.join(parts)}, action = {_action(rule.verdict)} }},\n")
    return "\nnetwork = [\n" + "".join(lines) + "]\n" if lines else ""


def _action(verdict: Verdict) -> str:
    return quote("deny" if verdict == DENY else str(verdict))


def write_calls(calls: LearntCalls) -> str:
    """The rules on calls."""
    text = "\n[syscalls]\n"
    text += comment("With those that depend on time, as far as they were permitted, whether made or not:")
    text += "".join(comment(f"  {line.strip()}") for line in _wrap(sorted(ALWAYS)).rstrip(",\n").splitlines())
    text += "allow = [\n" + _wrap(map(quote, calls.allowed)) + "]\n"
    if calls.rules:
        text += "rules = [\n" + "".join(map(_rule, calls.rules)) + "]\n"
    return text


def _rule(rule: LearntRule) -> str:
    choices = [f"{number} = [{', '.join(map(quote, texts))}]" for number, texts in rule.arguments]
    arguments = f", args = {{ {', '.join(choices)} }}" if choices else ""
    return f"    {{ call = {quote(rule.call)}{arguments}, action = {_action(rule.verdict)} }},\n"
