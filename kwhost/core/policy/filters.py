"""What the filters of the engine `process` decide by themselves, and nobody can change while programs run.

A filter is made from the policy that an instance is started with: what that plainly permits passes, or is
refused by the engine, without anybody being asked. Only what is asked about can be decided otherwise later.
"""

from collections.abc import Iterator, Sequence

from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.model import ALLOW, Layer, Policy, RateLimit, Rule
from kwhost.core.policy.ranking import grants_everything, ranked_calls, ranked_files
from kwhost.core.policy.regions import Arguments, Entry, rules_outside

__all__ = ["needs_new_filters"]

# Which pass whatever a policy says (kwhost/monitor/jail/program_filter.def).
_PASSED = frozenset({"exit_group", "restart_syscall", "rt_sigreturn"})


def needs_new_filters(old: Sequence[Layer], new: Sequence[Layer]) -> tuple[str, ...]:
    """Why a change of layers needs a restart with the engine `process`, a line for each rule; none: those of
    running programs ask about all that it is about. Landlock's part is not looked at."""
    lines = dict.fromkeys(
        f"needs a restart: {rule.origin.where}: {rule} is about what running programs do without asking"
        for rule in _unasked([layer.policy for layer in old], [layer.policy for layer in new])
    )
    return tuple(lines)


def _unasked(old: list[Policy], new: list[Policy]) -> Iterator[Rule | RateLimit]:
    for call in sorted(CALLS.keys() - _PASSED):
        if not _is_limited(old, call):
            yield from _unasked_of_call(old, new, call)
    for policy in new:
        yield from rules_outside([_otherwise(policy)], [[_otherwise(other)] for other in old])
    if not any(map(_judges_files, old)):
        for policy in filter(_judges_files, new):
            yield from policy.files[:1]
    if not any(policy.network for policy in old):
        for policy in new:
            yield from policy.network[:1]


def _unasked_of_call(old: list[Policy], new: list[Policy], call: str) -> Iterator[Rule | RateLimit]:
    asked = [_entries(policy, call) for policy in old]
    for policy in new:
        yield from rules_outside(_entries(policy, call), asked)
        for limit in policy.limits:
            if call in limit.calls and not _is_asked_always(asked):
                yield limit


def _entries(policy: Policy, call: str) -> list[Entry]:
    """Marked: what is not plainly permitted. The last one fits all calls."""
    entries = []
    for rule in ranked_calls(policy, call):
        entries.append(Entry(Arguments(rule.conditions), rule.verdict != ALLOW, rule))
        if not rule.conditions:
            return entries
    return [*entries, _otherwise(policy)]


def _otherwise(policy: Policy) -> Entry:
    return Entry(Arguments(()), policy.default.verdict != ALLOW, policy.default)


def _is_limited(policies: list[Policy], call: str) -> bool:
    return any(call in limit.calls for policy in policies for limit in policy.limits)


def _is_asked_always(lists: list[list[Entry]]) -> bool:
    return any(all(entry.mark for entry in entries) for entries in lists)


def _judges_files(policy: Policy) -> bool:
    return not grants_everything(ranked_files(policy))
