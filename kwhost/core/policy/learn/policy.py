"""From notes to the text of a policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi.learn_memory import Notes
from kwhost.core.errors import LimitError
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.evaluate import PathUse, judge_path
from kwhost.core.policy.learn.calls import call_rules
from kwhost.core.policy.learn.files import file_rules
from kwhost.core.policy.learn.network import network_rules
from kwhost.core.policy.learn.observed import Observed, observe
from kwhost.core.policy.learn.text import write_calls, write_files, write_head, write_network
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import Access, Layer, Policy

__all__ = ["Learnt", "learn_policy"]


class Learnt(NamedTuple):
    """The policy's text, and lines about what it does not cover."""

    text: str
    warnings: tuple[str, ...]


def learn_policy(notes: Notes, command: Sequence[str], base: Policy) -> Learnt:
    """The smallest policy for what was noted, under the policy `base`. Raises LimitError where the
    notes are not complete, ConfigError where the policy would be larger than policies may be."""
    if notes.lost:
        raise LimitError(
            "the program did more different things than can be noted: learn from parts of it, one after "
            "another, or mount what it goes through without end read-only and write that rule by hand"
        )
    observed = _with_readable_programs(observe(notes.notes), base)
    files, too_long = file_rules(observed)
    text = (
        write_head(command, base.name, observed.refusals)
        + write_files(files)
        + write_network(network_rules(observed))
        + write_calls(call_rules(observed, base))
    )
    compile_layers([Layer("learnt", read_policy_file(Path("learnt.toml"), text.encode()))])
    warnings = [f"{path}: too long for a rule; it is not permitted" for path in too_long]
    if notes.damaged:
        warnings.append(
            f"{notes.damaged} notes make no sense and were left out: the program wrote them itself"
        )
    return Learnt(text, tuple(warnings))


def _with_readable_programs(observed: Observed, base: Policy) -> Observed:
    """What was executed may be read, where that was permitted: it is in the program's memory anyway, and some
    look into their own file at a time of their choosing."""
    paths = {path: access | _read_beside(path, access, base) for path, access in observed.paths.items()}
    return replace(observed, paths=paths)


def _read_beside(path: bytes, access: Access, base: Policy) -> Access:
    finding = judge_path(base, PathUse(path, Access.READ))
    permitted = finding is None or finding.verdict.permits
    return Access.READ if Access.EXECUTE in access and permitted else Access.NONE
