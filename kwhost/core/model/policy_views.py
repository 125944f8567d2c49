"""Policies as they are shown."""

from dataclasses import dataclass

__all__ = ["Explanation", "LayerView", "PolicyView", "RuleView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """A rule in words, the policy that has it and its place there; how often it decided otherwise than by
    plain permission, and how often it refused: None where nothing runs under it. `call` is the one that it
    is on; None for rules on sets of calls and on all else."""

    text: str
    policy: str
    where: str
    hits: int | None = None
    denied: int | None = None
    call: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerView:
    """A layer and the rules that can decide in it, in the order in which they do."""

    name: str
    policy: str
    rules: tuple[RuleView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """The layers of an instance, of which the strictest verdict counts; of a policy by itself only one."""

    layers: tuple[LayerView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What becomes of a call, and why: lines for people."""

    lines: tuple[str, ...]
