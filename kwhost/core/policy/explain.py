"""Why a policy decides as it does, in words."""

from collections.abc import Sequence

from kwhost.core.policy.evaluate import Call, Finding, decide, judge
from kwhost.core.policy.model import CallRule, DefaultRule, FileRule, Layer, Rule, Verdict

__all__ = ["explain", "origin_text"]


def origin_text(rule: Rule) -> str:
    """The policy that a rule comes from, and its place there."""
    return f"{rule.origin.policy} ({rule.origin.where})"


def explain(layers: Sequence[Layer], call: Call) -> list[str]:
    """Lines: what becomes of a call, which rule of which layer decides, and what else was looked at."""
    decision = decide(layers, call)
    verdict = Verdict(decision.action, decision.errno)
    lines = [f"{_shown(call)}: {verdict}"]
    if decision.rule is None:
        return [*lines, "  there is no policy"]
    lines.append(f"  by the rule: {decision.rule}")
    lines.append(f"  of the layer {decision.layer}, from {origin_text(decision.rule)}")
    if len(layers) > 1:
        lines.append("  the strictest of all layers counts:")
    for layer in layers:
        lines.append(f"  layer {layer.name}:")
        for finding in judge(layer.policy, call):
            lines += _finding_lines(finding)
    return lines


def _shown(call: Call) -> str:
    words = [f"{argument:#x}" if argument > 4095 else str(argument) for argument in call.arguments]
    about = [use.path.decode(errors="backslashreplace") for use in call.paths]
    about += [f"{use.address} port {use.port}" for use in call.addresses]
    return f"{call.name}({', '.join(words)})" + (f" of {', '.join(about)}" if about else "")


def _finding_lines(finding: Finding) -> list[str]:
    """What is said of one thing, why, and the rules that fit too and had to yield."""
    lines = [f"    {finding.about}: {finding.verdict}, {_reason(finding.rule)}: {finding.rule}"]
    lines.append(f"      from {origin_text(finding.rule)}")
    lines += [
        f"      not: {rule}, from {origin_text(rule)}: {_why_not(finding.rule, rule)}"
        for rule in finding.others
        if not isinstance(rule, DefaultRule)
    ]
    return lines


def _reason(rule: Rule) -> str:
    match rule:
        case DefaultRule():
            return "no rule fits, so the default decides"
        case CallRule():
            if rule.conditions:
                return "by a rule on its arguments"
            return "by a rule on a set" if rule.name.startswith("@") else "by a rule on the call"
        case FileRule():
            return "by the path's rule"
        case _:
            return "by the address's rule"


def _why_not(winner: Rule, loser: Rule) -> str:
    if _rank(winner) != _rank(loser):
        return "less specific"
    if winner.origin.generation != loser.origin.generation:
        return f"overridden by {winner.origin.policy}"
    return "as specific, and not stricter"


def _rank(rule: Rule) -> object:
    match rule:
        case CallRule():
            return rule.specificity
        case FileRule():
            return rule.pattern.specificity
        case DefaultRule():
            return None
        case _:
            return rule.destination.specificity
