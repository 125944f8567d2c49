"""The filter of a program decides by itself what its policy plainly permits, and asks about all else."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwhost.core.policy.evaluate import Call, judge_arguments
from kwhost.core.policy.filters import needs_new_filters
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import ALLOW, Layer, Policy
from tests.unit.policy_parts import calls, in_layer, policies, policy_from
from tests.unit.program_filters import FilterTool, Outcome, build_filter_tool

SOME = st.lists(policies, min_size=1, max_size=3)
many = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Of computing, threads, files that are open, terminals.
FREQUENT = (
    "brk clock_gettime clock_nanosleep close dup epoll_ctl epoll_wait exit fcntl fdatasync fstat fsync futex "
    "getdents64 getpid getrandom gettid lseek madvise mprotect munmap nanosleep pipe2 poll ppoll pread64 "
    "pwrite64 read readv rt_sigaction rt_sigprocmask sched_yield select set_robust_list sigaltstack statx "
    "tgkill wait4 write writev"
).split()
LOOKING = "access faccessat2 getcwd newfstatat readlink readlinkat stat".split()
OPENING = "open openat rename unlink mkdir".split()
MMAP = ("mmap", (0, 4096, 3, 0x22, 2**64 - 1, 0))
TCGETS = ("ioctl", (0, 0x5401))
THREAD = ("clone", (0x3D0F00,))


@pytest.fixture(scope="session")
def filters(project: Path, tmp_path_factory: pytest.TempPathFactory) -> FilterTool:
    return build_filter_tool(project, tmp_path_factory.mktemp("filters"))


def profile(name: str) -> list[Layer]:
    return [Layer("instance", built_in().find(name))]


def is_plain(some: list[Policy], call: Call) -> bool:
    return all(judge_arguments(policy, call).verdict == ALLOW for policy in some)


@many
@given(SOME, st.lists(calls, min_size=20, max_size=60))
def test_it_asks_about_all_that_is_not_plainly_permitted(
    filters: FilterTool, some: list[Policy], questions: list[Call]
) -> None:
    asked = filters.decide(in_layer(*some), [(call.name, call.arguments) for call in questions])

    for call, decided in zip(questions, asked, strict=True):
        plain = is_plain(some, call) and not decided.performed
        assert (decided.outcome is Outcome.ASKED) == (not plain)
        assert (decided.outcome is Outcome.REFUSED) == (plain and decided.refusal > 0)


@pytest.mark.parametrize("name", ["default", "web", "strict"])
def test_frequent_calls_pass_under_built_in_policies(filters: FilterTool, name: str) -> None:
    tried = [*((call, ()) for call in [*FREQUENT, *LOOKING]), MMAP, TCGETS, THREAD]

    decided = filters.decide(profile(name), tried)

    passed = [outcome for outcome, *_ in decided]
    if name == "web":  # it limits how many there may be, so each one is counted
        assert passed.pop() is Outcome.ASKED
    assert {*passed} == {Outcome.ALLOWED}


def test_files_are_opened_without_asking_where_no_rule_is_about_them(filters: FilterTool) -> None:
    tried = [(call, ()) for call in OPENING]

    assert {each.outcome for each in filters.decide(profile("default"), tried)} == {Outcome.ALLOWED}
    assert {each.outcome for each in filters.decide(profile("web"), tried)} == {Outcome.ASKED}
    by_landlock = filters.decide(profile("web"), tried, files=False)
    assert {each.outcome for each in by_landlock} == {Outcome.ALLOWED}


@pytest.mark.parametrize("name", ["default", "web", "strict"])
def test_a_decision_takes_few_instructions(filters: FilterTool, name: str) -> None:
    decided = filters.decide(profile(name), [(number, ()) for number in range(513)])

    assert max(each.steps for each in decided) < 150


def test_learning_asks_about_everything(filters: FilterTool) -> None:
    """Also about what the engine refuses: programs fall back on something else."""
    tried: list[tuple[str | int, tuple[int, ...]]] = [("getpid", ()), ("clone3", ()), ("write", (1000,))]

    decided = filters.decide(profile("default"), tried, learn=True, channel=1000)

    assert [each.outcome for each in decided] == [Outcome.ASKED, Outcome.ASKED, Outcome.ALLOWED]


OPEN = "default = 'allow'\n"


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("", "", []),
        ("syscalls = { deny = ['mkdir'] }", "", []),
        ("syscalls = { deny = ['mkdir'] }", "syscalls = { kill = ['mkdir'] }", []),
        ("", "syscalls = { deny = ['mkdir'] }", ["errno:EPERM mkdir"]),
        ("", "syscalls = { log = ['mkdir'] }", ["log mkdir"]),
        ("", "syscalls = { deny = ['exit_group'] }", []),
        ("", "limits = { mkdir = '5/s' }", ["limit mkdir 5 in 1000 ms"]),
        ("syscalls = { log = ['mkdir'] }", "limits = { mkdir = '5/s' }", []),
        ("limits = { mkdir = '5/s' }", "syscalls = { deny = ['mkdir'] }", []),
        ("", "files = [{ path = '/srv/**', access = 'r' }]", ["r /srv/**"]),
        (
            "files = [{ path = '/srv/**', access = 'r' }]",
            "files = [{ path = '/var/**', access = 'r' }]",
            [],
        ),
        ("", "network = [{ to = 'any', action = 'deny' }]", ["errno:EPERM to any"]),
        (
            "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['>= 5'] }, action = 'deny' }] }",
            "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['TIOCSTI'] }, action = 'kill' }] }",
            [],
        ),
        (
            "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['TIOCSTI'] }, action = 'deny' }] }",
            "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['>= 5'] }, action = 'deny' }] }",
            ["errno:EPERM ioctl with 1 >= 5"],
        ),
    ],
)
def test_what_running_programs_do_not_ask_about_needs_a_restart(old: str, new: str, rules: list[str]) -> None:
    lines = needs_new_filters(in_layer(policy_from(OPEN + old)), in_layer(policy_from(OPEN + new)))

    begin, end = "needs a restart: web.toml:", " is about what running programs do without asking"
    assert all(line.startswith(begin) and line.endswith(end) for line in lines)
    assert [line.removesuffix(end).rsplit(": ", 1)[1] for line in lines] == rules


def test_a_choice_that_is_taken_back_needs_none() -> None:
    started = in_layer(policy_from("default = 'errno:EPERM'"))
    chosen = in_layer(policy_from("default = 'errno:EPERM'\nsyscalls = { allow = ['mkdir'] }"))

    assert needs_new_filters(started, chosen) == ()
    assert needs_new_filters(started, started) == ()


@many
@given(SOME, st.integers(0, 7), st.lists(policies, max_size=1))
def test_what_is_told_to_need_none_is_taken(
    filters: FilterTool, old: list[Policy], kept: int, more: list[Policy]
) -> None:
    before = in_layer(*old)
    after = in_layer(*(replace(policy, calls=policy.calls[:kept]) for policy in old), *more)

    if not needs_new_filters(before, after):
        assert filters.change(before, after) == 0


@many
@given(SOME, st.integers(0, 1))
def test_a_layer_may_stay_or_go(filters: FilterTool, some: list[Policy], first: int) -> None:
    before, after = in_layer(*some), in_layer(*some[first:])

    assert needs_new_filters(before, after) == ()
    assert filters.change(before, after) == 0
