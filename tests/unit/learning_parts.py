"""Observations as a program might have made them, and the policies that are learnt from them."""

from ipaddress import IPv6Address
from pathlib import Path

from hypothesis import strategies as st

from kwhost.core.abi.learn_memory import AddressNote, Note, NoteKind
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.evaluate import PathUse, judge_path
from kwhost.core.policy.learn.files import file_rules
from kwhost.core.policy.learn.observed import Observed, Renaming
from kwhost.core.policy.learn.text import write_files
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import ALLOW, Access, Policy

CALL_NAMES = sorted((*CALLS, "call_450"))
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
    made = draw(st.sets(known, max_size=5))
    return Observed(
        paths=accessed,
        above={},
        renamings=frozenset(renamings),
        moved=frozenset(moved),
        new_files=frozenset(made),
    )


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


_addresses = st.builds(
    AddressNote,
    address=st.one_of(
        st.ip_addresses(v=6), st.ip_addresses(v=4).map(lambda four: IPv6Address(f"::ffff:{four}"))
    ),
    port=st.integers(0, 65_535),
    listens=st.booleans(),
    protocol=st.integers(0, 255),
)


@st.composite
def notes(draw: st.DrawFn) -> Note:
    """Whatever may be read from memory that hostile monitors wrote."""
    kind = draw(st.sampled_from(NoteKind))
    counts = {
        NoteKind.CALL: 0,
        NoteKind.ADDRESS: 0,
        NoteKind.NAMES: 2,
        NoteKind.REFUSED: draw(st.integers(0, 1)),
    }
    count = counts.get(kind, 1)
    return Note(
        kind=kind,
        call=draw(st.sampled_from(CALL_NAMES)),
        access=draw(st.integers(0, 7)),
        error=draw(st.integers(0, 4095)),
        values=tuple(draw(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3))),
        texts=tuple(draw(st.lists(paths, min_size=count, max_size=count))),
        cut=(draw(st.booleans()), draw(st.booleans())),
        address=draw(_addresses) if kind is NoteKind.ADDRESS else None,
    )
