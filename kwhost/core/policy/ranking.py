"""Which rules come before which: in each of these lists the first rule that fits decides.

More specific rules come first; of equally specific ones those of the policy itself before those of its base,
then the stricter, then the one that stands first.
"""

from collections.abc import Sequence

from kwhost.core.policy.model import Access, CallRule, FileRule, NetworkRule, Policy

__all__ = ["grants_everything", "ranked_calls", "ranked_files", "ranked_network"]


def ranked_calls(policy: Policy, call: str | None = None) -> list[CallRule]:
    """The rules on a call; without a call all rules."""
    return sorted(
        (rule for rule in policy.calls if call is None or call in rule.calls),
        key=lambda rule: (-rule.specificity, -rule.origin.generation, -rule.verdict.strictness),
    )


def ranked_files(policy: Policy) -> list[FileRule]:
    """The rules on files; the one that grants less is the stricter."""
    return sorted(
        policy.files,
        key=lambda rule: (
            tuple(-part for part in rule.pattern.specificity),
            -rule.origin.generation,
            len(str(rule.access)),
        ),
    )


def grants_everything(rules: Sequence[FileRule]) -> bool:
    """Nothing is left to judge, as with the rules of the built-in default alone, or without any."""
    full = Access.READ | Access.WRITE | Access.EXECUTE
    return not rules or (
        all(rule.access == full for rule in rules) and any(rule.pattern.text == "/**" for rule in rules)
    )


def ranked_network(policy: Policy) -> list[NetworkRule]:
    """The rules on addresses and ports."""
    return sorted(
        policy.network,
        key=lambda rule: (
            tuple(-part for part in rule.destination.specificity),
            -rule.origin.generation,
            -rule.verdict.strictness,
        ),
    )
