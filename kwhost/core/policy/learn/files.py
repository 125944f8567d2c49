"""Rules on files: the names that were used, and patterns in the place of many of them.

What is put together has been used in the same way: a pattern grants what each of the names that it stands
for was seen to need. Names that were used in another way beside it keep rules of their own, which decide
before the pattern. What was executed is always named, but in directories that were moved as a whole.
"""

import re
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from kwhost.core.policy.learn.names import (
    ANY,
    DEEP,
    Components,
    has_wildcard,
    plain_name,
    split,
    stable_names,
    to_text,
)
from kwhost.core.policy.learn.observed import Observed
from kwhost.core.policy.learn.places import may_open
from kwhost.core.policy.model import Access
from kwhost.core.policy.patterns import PathPattern, Specificity, parse_pattern

__all__ = ["LearntFile", "file_rules"]

# So many names in one directory become `*`; so many beneath it, from so many directories in it, `**`.
_SIBLINGS = 6
_BENEATH = 12
_BRANCHES = 3
_TEXT_MAX = 255
_NAMED_ONLY = Access.EXECUTE
_Grants = dict[Components, Access]


class LearntFile(NamedTuple):
    """A rule: the pattern's text, and for how many names it stands."""

    pattern: str
    access: Access
    names: int


def file_rules(observed: Observed) -> tuple[list[LearntFile], list[str]]:
    """The rules, sorted; and the paths for which there can be none."""
    used = set(observed.paths) | observed.moved | {name for pair in observed.renamings for name in pair}
    stable = stable_names(used, observed)
    grants: _Grants = {}
    for path, access in observed.paths.items():
        _add(grants, stable[path], access)
    too_long = _open_above(grants, observed.above)
    pairs = [(stable[old], stable[new]) for old, new in observed.renamings]
    _move_names(grants, pairs, {stable[path] for path in observed.moved})
    wanted = {path: grants[_place_of(grants, stable[path])] for path in observed.paths}
    counts = dict.fromkeys(grants, 1)
    _merge_numbers(grants, counts)
    _merge_siblings(grants, counts)
    _merge_subtrees(grants, counts)
    too_long += _shorten(grants)
    for names in (stable, {path: plain_name(path) for path in wanted}):
        _name_exceptions(grants, wanted, names)
    rules = [
        LearntFile(to_text(place).decode(), access, counts.get(place, 1)) for place, access in grants.items()
    ]
    return sorted((rule for rule in rules if rule.access), key=lambda rule: rule.pattern), too_long


def _name_exceptions(
    grants: _Grants, wanted: Mapping[bytes, Access], names: Mapping[bytes, Components]
) -> None:
    """Where another pattern decides than the one that a name was put under: a rule for the name."""
    patterns = defaultdict(list)
    for place, access in grants.items():
        pattern = parse_pattern(to_text(place).decode())
        patterns[pattern.literal_components].append((pattern.specificity, pattern, access))
    for group in patterns.values():
        group.sort(key=lambda each: each[0], reverse=True)
    for path, access in wanted.items():
        if _granted(patterns, path) != access and len(to_text(names[path])) <= _TEXT_MAX:
            grants[names[path]] = access


def _granted(
    patterns: Mapping[Components, list[tuple[Specificity, PathPattern, Access]]], path: bytes
) -> Access:
    """What is granted by the first pattern that matches, of those with the longest beginning in common."""
    parts = split(path)
    for length in range(len(parts), -1, -1):
        for _, pattern, access in patterns.get(parts[:length], ()):
            if pattern.matches(path):
                return access
    return Access.NONE


def _add(grants: _Grants, place: Components, access: Access) -> None:
    grants[place] = grants.get(place, Access.NONE) | access


def _open_above(grants: _Grants, above: Mapping[bytes, Access]) -> list[str]:
    """Paths that are too long for rules: all beneath a directory; those for which that cannot be."""
    failed = []
    for path, access in above.items():
        directory = plain_name(path)
        if may_open(split(path), deep=True):
            _add(grants, (*directory, DEEP), access)
        else:
            failed.append(path.decode(errors="replace"))
    return failed


def _beneath(place: Components, directory: Components) -> bool:
    return len(place) > len(directory) and place[: len(directory)] == directory


def _collapse(grants: _Grants, directory: Components) -> None:
    """Put a directory and all in it under one rule."""
    inside = [place for place in grants if _beneath(place, directory) or place == directory]
    together = Access.NONE
    for place in inside:
        together |= grants.pop(place)
    grants[*directory, DEEP] = together


def _place_of(grants: _Grants, name: Components) -> Components:
    """The rule for a name: of its own, or of a directory above that stands for all in it."""
    for length in range(len(name), 0, -1):
        if (*name[:length], DEEP) in grants:
            return (*name[:length], DEEP)
    return name


def _move_names(grants: _Grants, pairs: list[tuple[Components, Components]], moved: set[Components]) -> None:
    """A directory keeps its rights where it goes: no rule may tell it from what is in it. A new name may not
    grant what the old one does not."""
    whole: set[Components] = set()
    for directory in sorted([*moved, *_made_at_random(grants)], key=len):
        if not any(directory[: len(above)] == above for above in whole):
            _collapse(grants, directory)
            whole.add(directory)
    changed = True
    while changed:
        changed = False
        for old, new in pairs:
            here, there = _place_of(grants, old), _place_of(grants, new)
            wanted = grants.get(here, Access.NONE) | grants.get(there, Access.NONE)
            if grants.get(here) != wanted:
                grants[here] = wanted
                changed = True


def _made_at_random(grants: _Grants) -> list[Components]:
    """Directories with random names in which there is something: the program's own, as a whole. Where
    something in them is executed all is named."""
    made = [place for place, access in grants.items() if place and Access.WRITE in access]
    found = []
    for directory in filter(lambda place: has_wildcard(place[-1]), made):
        inside = [access for place, access in grants.items() if _beneath(place, directory)]
        if inside and not any(_NAMED_ONLY & access for access in inside):
            found.append(directory)
    return found


def _merge(grants: _Grants, counts: dict[Components, int], places: list[Components], to: Components) -> None:
    access = grants[places[0]]
    counts[to] = counts.get(to, 0) + sum(counts.pop(place, 1) for place in places if place != to)
    for place in places:
        if place != to:
            del grants[place]
    _add(grants, to, access)


def _groups(grants: _Grants) -> dict[tuple[Components, Access], list[Components]]:
    """What is in one directory and used in one way, but for what is to be named."""
    groups = defaultdict(list)
    for place, access in sorted(grants.items(), key=lambda item: item[0]):
        if place and place[-1] != DEEP and not _NAMED_ONLY & access:
            groups[place[:-1], access].append(place)
    return groups


def _without_numbers(name: bytes) -> bytes:
    """With `*` for each number."""
    return re.sub(rb"(?:[0-9]|(?<!\\)\*)+", ANY, name)


def _merge_numbers(grants: _Grants, counts: dict[Components, int]) -> None:
    """Written names that differ in numbers alone."""
    for (directory, access), places in _groups(grants).items():
        if Access.WRITE not in access:
            continue
        alike = defaultdict(list)
        for place in places:
            alike[_without_numbers(place[-1])].append(place)
        for name, group in alike.items():
            if len(group) > 1 and name != ANY:
                _merge(grants, counts, group, (*directory, name))


def _merge_siblings(grants: _Grants, counts: dict[Components, int]) -> None:
    for (directory, access), places in _groups(grants).items():
        others = grants.get((*directory, ANY), access)
        if len(places) >= _SIBLINGS and others == access and may_open(directory, deep=False):
            _merge(grants, counts, places, (*directory, ANY))


def _merge_subtrees(grants: _Grants, counts: dict[Components, int]) -> None:
    """From the deepest directory upwards."""
    places = sorted(grants)
    directories = {place[:length] for place in grants for length in range(len(place))}
    for directory in sorted(directories, key=lambda each: (-len(each), each)):
        if not may_open(directory, deep=True):
            continue
        for access, group in _inside(grants, places, directory).items():
            branches = {place[len(directory)] for place in group if len(place) > len(directory) + 1}
            many = sum(counts.get(place, 1) for place in group) >= _BENEATH
            others = grants.get((*directory, DEEP), access)
            if len(branches) >= _BRANCHES and many and others == access:
                _merge(grants, counts, group, (*directory, DEEP))
                insort(places, (*directory, DEEP))


def _inside(
    grants: _Grants, places: list[Components], directory: Components
) -> dict[Access, list[Components]]:
    """A directory and what is in it, but for what is to be named, by access. `places` are sorted; some
    may be no more."""
    groups = defaultdict(list)
    for index in range(bisect_left(places, directory), len(places)):
        place = places[index]
        if place[: len(directory)] != directory:
            break
        if place in grants and not _NAMED_ONLY & grants[place]:
            groups[grants[place]].append(place)
    return groups


def _shorten(grants: _Grants) -> list[str]:
    """Rules whose text is too long speak of a directory above."""
    failed = []
    for place in [each for each in grants if len(to_text(each)) > _TEXT_MAX]:
        access = grants.pop(place)
        directory = place[:-1]
        while len(to_text((*directory, DEEP))) > _TEXT_MAX:
            directory = directory[:-1]
        if may_open(directory, deep=True):
            _add(grants, (*directory, DEEP), access)
        else:
            failed.append(to_text(place).decode())
    return failed
