"""Observations as a program might have made them, and the policies that are learnt from them."""

from pathlib import Path

from hypothesis import strategies as st

from kwhost.core.policy.evaluate import PathUse, judge_path
from kwhost.core.policy.learn.files import file_rules
from kwhost.core.policy.learn.observed import Observed, Renaming
from kwhost.core.policy.learn.text import write_files
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import ALLOW, Access, Policy

LETTERS = (Access.READ, Access.WRITE, Access.EXECUTE)
_NAMES = (
    *("usr", "lib", "etc", "home", "tmp", "var", "proc", "srv", "a", "b", "c", "d"),
    *("tmpab12cd34", "sh-thd.aB3dEf", "part1", "part2", "part30", "x*y", "123", "fd", "q\\uote", "?"),
    *("new\nline", 'quo"te # no comment', "\U0001f600", "\U000e0001", "\x7f"),
)
names = st.sampled_from(_NAMES)
paths = st.lists(names, min_size=1, max_size=5).map(lambda parts: "/".join(["", *parts]).encode())
accesses = st.sampled_from((Access.READ, Access.WRITE, Access.READ | Access.WRITE, Access.EXECUTE))
used = st.dictionaries(paths, accesses, min_size=1, max_size=60)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Files that were used, renamed, and directories that were moved."""
    accessed = draw(used)
    known = st.sampled_from(sorted(accessed))
    renamings = draw(st.sets(st.builds(Renaming, known, known), max_size=4))
    for renaming in renamings:
        accessed[renaming.old] |= Access.WRITE
        accessed[renaming.new] |= Access.WRITE
    moved = (
        draw(st.sets(st.sampled_from([name for pair in renamings for name in pair]), max_size=2))
        if renamings
        else set()
    )
    return Observed(paths=accessed, above={}, renamings=frozenset(renamings), moved=frozenset(moved))


def learnt(observed: Observed) -> Policy:
    """The policy on files, as it is read from its text."""
    rules, too_long = file_rules(observed)
    assert too_long == []
    return read_policy_file(Path("learnt.toml"), f'default = "deny"\n{write_files(rules)}'.encode())


def granted(policy: Policy, path: bytes) -> Access:
    """What a policy grants."""
    access = Access.NONE
    for letter in LETTERS:
        finding = judge_path(policy, PathUse(path, letter))
        if finding is None or finding.verdict == ALLOW:
            access |= letter
    return access
