"""Patterns of paths: what they match, which is more specific, and what one says of another."""

import pytest
from hypothesis import given

from kwhost.core.errors import UsageError
from kwhost.core.policy.patterns import PathPattern, parse_pattern
from tests.unit.policy_parts import paths, patterns, untimed


def component_matches(pattern: bytes, name: bytes) -> bool:
    if not pattern:
        return not name
    if pattern[:1] == b"*":
        return any(component_matches(pattern[1:], name[index:]) for index in range(len(name) + 1))
    return bool(name) and pattern[:1] in (b"?", name[:1]) and component_matches(pattern[1:], name[1:])


def naive_matches(components: tuple[bytes, ...], names: list[bytes]) -> bool:
    if not components:
        return not names
    if components[0] == b"**":
        return any(naive_matches(components[1:], names[index:]) for index in range(len(names) + 1))
    return (
        bool(names)
        and component_matches(components[0], names[0])
        and naive_matches(components[1:], names[1:])
    )


@untimed
@given(patterns, paths)
def test_it_matches_what_a_naive_matcher_does(pattern: PathPattern, path: bytes) -> None:
    names = path[1:].split(b"/") if path != b"/" else []

    assert pattern.matches(path) == naive_matches(pattern.components, names)


@untimed
@given(patterns, patterns, paths)
def test_what_a_pattern_says_of_another_is_true(one: PathPattern, other: PathPattern, path: bytes) -> None:
    if one.covers(other) and other.matches(path):
        assert one.matches(path)
    if one.excludes(other):
        assert not (one.matches(path) and other.matches(path))


@untimed
@given(patterns, patterns, paths)
def test_more_literal_components_are_more_specific(one: PathPattern, other: PathPattern, path: bytes) -> None:
    """The monitor looks from the longest literal beginning of a path to the shortest."""
    is_longer = len(one.literal_components) > len(other.literal_components)
    if is_longer and one.matches(path) and other.matches(path):
        assert one.specificity > other.specificity


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/", "/", True),
        ("/", "/a", False),
        ("/**", "/", True),
        ("/*", "/", False),
        ("/srv/**", "/srv", True),
        ("/srv/**", "/srv/a/b", True),
        ("/srv/**", "/srva", False),
        ("/srv/*", "/srv/.hidden", True),
        ("/home/**/.ssh/**", "/home/a/b/.ssh/id", True),
        ("/home/**/.ssh/**", "/home/.ssh", True),
        ("/usr/bin/[", "/usr/bin/[", True),
        (r"/a\*", "/a*", True),
        (r"/a\*", "/ab", False),
        ("/a?", "/a/", False),
        ("/é", "/é", True),
    ],
)
def test_patterns_mean_this(pattern: str, path: str, matches: bool) -> None:
    assert parse_pattern(pattern).matches(path.encode()) is matches


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", "/"),
        (r"/a\*b", "/a*b"),
        (r"/what\?", "/what?"),
        (r"/back\\slash", r"/back\slash"),
        ("/plain", "/plain"),
    ],
)
def test_any_path_has_a_pattern_of_its_own(text: str, path: str) -> None:
    pattern = parse_pattern(text)

    assert pattern.is_literal
    assert pattern.matches(path.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no absolute path"),
        ("srv", "no absolute path"),
        ("/srv/", "write /DIRECTORY/"),
        ("//srv", "empty name"),
        ("/srv/../etc", "the path that it leads to"),
        ("/./srv", "the path that it leads to"),
        ("/srv/a**", "stands for whole names"),
        ("/srv/***", "stands for whole names"),
        ("/srv\\", "backslash"),
        ("/s\\rv", "backslash"),
        ("/" + "a" * 255, "255 are allowed"),
        ("/*" * 17, "17 wildcards"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        parse_pattern(text)
