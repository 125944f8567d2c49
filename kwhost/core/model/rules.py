"""Kinds of rules of a policy, for engines to say which of them they hold."""

from enum import Enum

__all__ = ["EVERY_RULE", "PROCESS_RULES", "RuleKind"]


class RuleKind(Enum):
    """What a rule is on."""

    CALLS = "calls"
    ARGUMENTS = "arguments of calls"
    FILES = "files"
    EXECUTION = "executing what may be anywhere, or with a log or a question"
    NETWORK = "addresses and ports"
    LIMITS = "rates"
    QUESTIONS = "questions"


EVERY_RULE = frozenset(RuleKind)
# Of the engine `process`, where Landlock holds what may be executed.
PROCESS_RULES = EVERY_RULE - {RuleKind.EXECUTION}
