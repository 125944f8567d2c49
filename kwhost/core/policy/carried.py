"""What Landlock can carry of a policy: executing, where programs run without a monitor.

A kernel rule is on a directory and all beneath it, as it is when the program starts. Where rules differ
beneath one, what lies in it is looked at (kwhost/monitor/jail/execution.c); that would be everything where
`**` stands before other names and makes a difference. Neither can Landlock tell or ask about anything.
"""

from collections.abc import Iterator, Sequence

from kwhost.core.policy.ceiling import MEMORY_FILE, file_entries
from kwhost.core.policy.model import Access, Action, FileRule, Layer, Policy, Rule
from kwhost.core.policy.regions import Entry, is_covered, rules_outside

__all__ = ["needs_new_landlock", "uncarried"]


def uncarried(policy: Policy) -> tuple[Rule, ...]:
    """The rules that decide what may be executed in a way that Landlock cannot carry."""
    entries = file_entries(policy, Access.EXECUTE)
    live = [entry for index, entry in enumerate(entries) if not is_covered(entry, entries[:index])]
    return tuple(_found(policy, live))


def needs_new_landlock(old: Sequence[Layer], new: Sequence[Layer]) -> tuple[str, ...]:
    """Why a change of layers needs a restart where Landlock holds what may be executed, a line for each rule;
    none: each layer permits the same to be executed as before."""
    before, after = _by_name(old), _by_name(new)
    lines = dict.fromkeys(
        f"needs a restart: {rule.origin.where}: {rule} is about what running programs may execute"
        for name in before | after
        for rule in _changes(before.get(name, []), after.get(name, []))
    )
    return tuple(lines)


def _by_name(layers: Sequence[Layer]) -> dict[str, list[Entry]]:
    return {layer.name: file_entries(layer.policy, Access.EXECUTE) for layer in layers}


def _changes(old: list[Entry], new: list[Entry]) -> Iterator[Rule]:
    """A layer that is not there, of which the list is empty, refuses nothing."""
    yield from rules_outside(_refusing(new), [_refusing(old)])
    yield from rules_outside(_refusing(old), [_refusing(new)])


def _refusing(entries: list[Entry]) -> list[Entry]:
    return [entry._replace(mark=not entry.mark) for entry in entries]


def _found(policy: Policy, live: list[Entry]) -> Iterator[Rule]:
    for entry in live:
        rule = entry.rule
        if isinstance(rule, FileRule):
            if _may_be_anywhere(rule) and any(_differs(rule, entry, other) for other in live):
                yield rule
        elif policy.files and policy.default.on_objects.action in (Action.LOG, Action.ASK):
            yield rule


def _may_be_anywhere(rule: FileRule) -> bool:
    return b"**" in rule.pattern.components[:-1] and not _is_of_memory(rule)


def _is_of_memory(rule: FileRule) -> bool:
    """It is about what is in no directory, which the broker sees to."""
    return rule.pattern.components[0].startswith(MEMORY_FILE)


def _differs(rule: FileRule, entry: Entry, other: Entry) -> bool:
    return other.mark != entry.mark and not other.region.excludes(rule.pattern)
