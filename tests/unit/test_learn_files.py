"""Learning: rules on files."""

from hypothesis import given, settings

from kwhost.core.policy.learn.files import file_rules
from kwhost.core.policy.learn.names import has_wildcard, stable_names
from kwhost.core.policy.learn.observed import Observed, Renaming
from kwhost.core.policy.model import Access
from tests.unit.learning_parts import granted, learnt, observations, used

R, W, X = Access.READ, Access.WRITE, Access.EXECUTE
RW = R | W


def rules(
    paths: dict[str, Access], *renamings: tuple[str, str], moved: tuple[str, ...] = ()
) -> dict[str, str]:
    """The patterns with what they grant."""
    observed = Observed(
        paths={path.encode(): access for path, access in paths.items()},
        above={},
        renamings=frozenset(Renaming(old.encode(), new.encode()) for old, new in renamings),
        moved=frozenset(path.encode() for path in moved),
    )
    found, _ = file_rules(observed)
    return {rule.pattern: str(rule.access) for rule in found}


def test_few_files_are_named() -> None:
    assert rules({"/etc/passwd": R, "/usr/bin/ls": X, "/": R}) == {
        "/": "r",
        "/etc/passwd": "r",
        "/usr/bin/ls": "x",
    }


def test_many_files_of_a_directory_become_one_rule() -> None:
    libraries = {f"/usr/lib/x86_64-linux-gnu/lib{name}.so.6": R for name in "abcdef"}

    assert rules({**libraries, "/usr/lib/x86_64-linux-gnu/ld.so": X}) == {
        "/usr/lib/x86_64-linux-gnu/*": "r",
        "/usr/lib/x86_64-linux-gnu/ld.so": "x",
    }


def test_many_files_from_many_directories_become_one_rule() -> None:
    modules = {f"/usr/lib/python3/{folder}/{name}.pyc": R for folder in "abc" for name in "uvwx"}

    assert rules({**modules, "/usr/lib/python3": R}) == {"/usr/lib/python3/**": "r"}


def test_what_is_executed_is_always_named() -> None:
    programs = {f"/usr/bin/{name}": X for name in "abcdefghijkl"}

    assert list(rules(programs)) == sorted(programs)


def test_nothing_becomes_a_whole_part_of_the_system() -> None:
    everywhere = {
        f"/{top}/{name}{number}": R
        for top in ("etc", "home", "usr", "proc")
        for name in "abcdefgh"
        for number in "12"
    }

    assert not any(has_wildcard(pattern.encode()) for pattern in rules(everywhere))


def test_read_files_stay_read_only_beside_written_ones() -> None:
    written = {f"/srv/data/{name}": RW for name in "abcdef"}

    assert rules({**written, "/srv/data/config": R}) == {"/srv/data/*": "rw", "/srv/data/config": "r"}


def test_random_names_are_left_open() -> None:
    assert rules(
        {"/tmp/tmp_bcdefgh": RW, "/tmp/sh-thd.Xy12Zq": RW, "/tmp/plain": W, "/srv/out-4711.txt": W}
    ) == {
        "/srv/out-*.txt": "w",
        "/tmp/plain": "w",
        "/tmp/sh-thd.*": "rw",
        "/tmp/tmp*": "rw",
    }


def test_names_that_look_like_words_are_random_where_they_were_made_so() -> None:
    paths = {b"/tmp/kqwzxmna": RW, b"/tmp/node-wordly": W, b"/tmp/greeting": W, b"/tmp/my-config": W}
    made = Observed(
        paths=paths,
        above={},
        new_files=frozenset((b"/tmp/kqwzxmna",)),
        new_directories=frozenset((b"/tmp/node-wordly",)),
    )

    found, _ = file_rules(made)

    assert [rule.pattern for rule in found] == ["/tmp/*", "/tmp/greeting", "/tmp/my-config", "/tmp/node-*"]


def test_a_directory_of_a_random_name_is_the_programs_own() -> None:
    assert rules({"/tmp/tmpab12cd34": RW, "/tmp/tmpab12cd34/one": W, "/tmp/tmpab12cd34/two/three": R}) == {
        "/tmp/tmp*/**": "rw"
    }


def test_numbers_in_written_names_are_left_open() -> None:
    assert rules({"/srv/log1": W, "/srv/log2": W, "/srv/log.txt": W}) == {
        "/srv/log*": "w",
        "/srv/log.txt": "w",
    }


def test_processes_are_any() -> None:
    assert rules({"/proc/17/stat": R, "/proc/18/stat": R, "/proc/18/task/19/comm": R}) == {
        "/proc/*/stat": "r",
        "/proc/*/task/*/comm": "r",
    }


def test_an_old_name_has_the_rights_of_the_new_one() -> None:
    assert rules({"/srv/new": W, "/srv/name": RW}, ("/srv/new", "/srv/name")) == {
        "/srv/name": "rw",
        "/srv/new": "rw",
    }


def test_a_moved_directory_has_one_rule() -> None:
    paths = {"/srv/old": RW, "/srv/old/a": W, "/srv/new": W, "/srv/new/a": R}

    assert rules(paths, ("/srv/old", "/srv/new"), moved=("/srv/old", "/srv/new")) == {
        "/srv/new/**": "rw",
        "/srv/old/**": "rw",
    }


def test_paths_beyond_a_rules_length_open_the_directory_above() -> None:
    observed = Observed(paths={b"/srv/a": R}, above={b"/srv/deep": R, b"/etc": R})

    found, too_long = file_rules(observed)

    assert [rule.pattern for rule in found] == ["/srv/a", "/srv/deep/**"]
    assert too_long == ["/etc"]


def test_names_that_no_text_can_hold_are_matched_all_the_same() -> None:
    policy = learnt(Observed(paths={b"/srv/caf\xe9": R}, above={}))

    assert granted(policy, b"/srv/caf\xe9") == R


@given(observations())
@settings(deadline=None)
def test_everything_that_was_done_is_granted(observed: Observed) -> None:
    policy = learnt(observed)

    assert {path for path, access in observed.paths.items() if access & ~granted(policy, path)} == set()


@given(observations())
@settings(deadline=None)
def test_renaming_comes_to_pass_again(observed: Observed) -> None:
    policy = learnt(observed)

    for old, new in observed.renamings:
        assert W in granted(policy, new)
        assert not granted(policy, new) & ~granted(policy, old)
    for directory in observed.moved:
        assert granted(policy, directory) == granted(policy, directory + b"/never/seen")


@given(used)
@settings(deadline=None)
def test_names_that_stay_get_what_they_had_and_no_more(paths: dict[bytes, Access]) -> None:
    observed = Observed(paths=paths, above={})
    stable = stable_names(paths, observed)
    policy = learnt(observed)

    for path, access in paths.items():
        if not any(map(has_wildcard, stable[path])):
            assert granted(policy, path) == access


@given(observations())
@settings(deadline=None)
def test_the_system_is_never_opened_as_a_whole(observed: Observed) -> None:
    moved = Observed(paths=observed.paths, above={}, renamings=observed.renamings)
    policy = learnt(moved)

    for path in (b"/never", b"/etc/never", b"/home/never", b"/home/a/never", b"/usr/never/x", b"/dev/never"):
        assert not granted(policy, path)
