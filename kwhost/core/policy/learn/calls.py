"""Rules on calls: those that were made, with the requests, families and flags that were used."""

import errno
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.constants import CONSTANTS
from kwhost.core.policy.evaluate import Call, judge_arguments
from kwhost.core.policy.learn.observed import NOTED_ARGUMENTS, Observed, Refusal, Seen
from kwhost.core.policy.model import ALLOW, DENY, Action, Policy, Verdict
from kwhost.core.policy.sets import SETS, set_members

__all__ = ["ALWAYS", "LearntCalls", "LearntRule", "call_rules"]

# Made or not as time has it: how a thread waits and is woken, where memory comes from and goes to, how a
# program ends that was killed while it was watched, and what follows on a signal.
_TIMELY = "brk exit exit_group futex madvise mmap mprotect munmap restart_syscall rt_sigreturn sched_yield"
ALWAYS = frozenset(_TIMELY.split())
# A set takes the place of its calls where all of them were made, and they are so many.
_SET_LEAST = 4
# What the names of the constants for each noted argument begin with.
_PREFIXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ioctl": (("TC", "TIOC", "FIO", "FS_IOC", "SIOC", "RND", "FIGETBSZ", "FICLONE"),),
    "fcntl": (("F_",),),
    "prctl": (("PR_",),),
    "socket": (("AF_",), ("SOCK_",), ()),
    "socketpair": (("AF_",), ("SOCK_",), ()),
}
_NO_COMMANDS = ("F_OK", "F_RDLCK", "F_WRLCK", "F_UNLCK")
_SIGNAL_MASK = 0xFF


class LearntRule(NamedTuple):
    """A rule on a call with arguments: by their numbers, the texts of the values."""

    call: str
    arguments: tuple[tuple[int, tuple[str, ...]], ...]
    verdict: Verdict


class LearntCalls(NamedTuple):
    """The calls and sets that are allowed; rules with arguments, and with errors."""

    allowed: tuple[str, ...]
    rules: tuple[LearntRule, ...]


def call_rules(observed: Observed, base: Policy) -> LearntCalls:
    """What was permitted, and the errors with which programs were told that something is not there. What the
    policy that was in force does not permit is not added to it."""
    timely = {call for call in ALWAYS if judge_arguments(base, Call(call)).verdict.permits}
    plain = {seen.call for seen in observed.calls if not seen.values} & set(CALLS) | timely
    rules = _argument_rules(observed.calls)
    rules += [rule for rule in _error_rules(observed) if rule.call not in plain]
    return LearntCalls(_with_sets(plain), tuple(sorted(rules, key=lambda rule: rule[:2])))


def _with_sets(calls: Iterable[str]) -> tuple[str, ...]:
    left = set(calls)
    found = []
    for name in sorted(SETS, key=lambda each: (-len(set_members(each)), each)):
        members = set_members(name)
        if len(members) >= _SET_LEAST and members <= left:
            found.append(name)
            left -= members
    return (*sorted(found), *sorted(left))


def _argument_rules(calls: Iterable[Seen], verdict: Verdict = ALLOW) -> list[LearntRule]:
    """Rules that differ in the last argument alone are one."""
    lasts = defaultdict(set)
    for seen in calls:
        if seen.values:
            lasts[seen.call, seen.values[:-1]].add(seen.values[-1])
    rules = []
    for (call, before), values in lasts.items():
        noted = NOTED_ARGUMENTS[call]
        texts = [tuple(sorted(_text(call, len(before), value) for value in values))]
        texts[:0] = [(_text(call, index, value),) for index, value in enumerate(before)]
        arguments = tuple((number, text) for (number, _), text in zip(noted, texts, strict=True))
        rules.append(LearntRule(call, arguments, verdict))
    return rules


def _error_rules(observed: Observed) -> list[LearntRule]:
    """A program that was told by one error that a call is not there does something else; another error would
    be new to it. What was refused like everything else needs no rule."""
    errors = {
        refusal.seen: refusal.error
        for refusal in observed.refusals
        if _is_plain(refusal) and refusal.seen not in observed.calls
    }
    rules = []
    for error in sorted(set(errors.values()) & set(errno.errorcode) - {DENY.errno}):
        calls = [seen for seen in errors if errors[seen] == error]
        verdict = Verdict(Action.ERRNO, error)
        rules += [LearntRule(seen.call, (), verdict) for seen in calls if not seen.values]
        rules += _argument_rules(calls, verdict)
    return rules


def _is_plain(refusal: Refusal) -> bool:
    """It was refused as a call, not for what it was about."""
    return not refusal.text and refusal.seen.call in CALLS


def _text(call: str, index: int, value: int) -> str:
    """A value of a noted argument, by the names of constants where there are any."""
    _, mask = NOTED_ARGUMENTS[call][index]
    text = _flags(value) if call == "clone" else _constant(_PREFIXES[call][index], value)
    if mask != 0xFFFF_FFFF:
        return f"& {mask:#x} == {text}"
    return text


def _constant(prefixes: tuple[str, ...], value: int) -> str:
    for name, number in CONSTANTS.items():
        if number == value and name.startswith(prefixes) and name not in _NO_COMMANDS:
            return name
    return str(value) if value < 10 else f"{value:#x}"


def _flags(value: int) -> str:
    """The flags of clone(2), with the signal that tells the parent."""
    names = []
    left = value & ~_SIGNAL_MASK
    for name, number in CONSTANTS.items():
        if name.startswith("CLONE_") and number > _SIGNAL_MASK and number & left == number:
            names.append(name)
            left &= ~number
    signal = value & _SIGNAL_MASK
    if signal:
        names += [name for name, number in CONSTANTS.items() if name.startswith("SIG") and number == signal][
            :1
        ]
    known = 0
    for name in names:
        known |= CONSTANTS[name]
    rest = value & ~known
    return "|".join([*names, *([f"{rest:#x}"] if rest or not names else [])])
