"""Instances whose jail is made from a ceiling, without a policy in front: what the ceiling leaves out, the
kernel refuses to every process of the instance."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.ceiling_table import compile_ceiling
from tests.functional.ceilings import ceiling_of, profile
from tests.functional.hosted import HostedInstance
from tests.functional.test_join import Joined

pytestmark = pytest.mark.kvm

TRY = "echo x > /new; echo $?; cat /etc/group > /dev/null; echo $?"
Join = Callable[[Sequence[str]], Joined]


@pytest.fixture
def join(hosted: HostedInstance) -> Iterator[Join]:
    made: list[Joined] = []

    def make(argv: Sequence[str]) -> Joined:
        made.append(Joined(hosted, argv))
        return made[-1]

    yield make
    for joined in made:
        joined.close()


@pytest.mark.hw
def test_files_that_the_ceiling_does_not_grant_are_not_opened(hosted: HostedInstance) -> None:
    hosted.shell(TRY, ceiling=compile_ceiling(profile("strict")))

    assert hosted.wait().status == 0
    assert hosted.logged() == "1\n0\n"
    assert hosted.logged("stderr") == "/bin/sh: can't create /new: Permission denied\n"


def test_processes_and_programs_that_follow_have_the_same_ceiling(hosted: HostedInstance) -> None:
    hosted.shell(f"(/bin/sh -c '{TRY}')", ceiling=compile_ceiling(profile("strict")))

    assert hosted.wait().status == 0
    assert hosted.logged() == "1\n0\n"


@pytest.mark.hw
def test_programs_that_join_have_the_same_ceiling(hosted: HostedInstance, join: Join) -> None:
    hosted.shell("read end", interactive=True, ceiling=compile_ceiling(profile("strict")))
    hosted.connect().started()

    assert join(["/bin/sh", "-c", TRY]).finish()[:2] == (0, "1\n0\n")


def test_calls_that_the_ceiling_leaves_out_are_refused(hosted: HostedInstance) -> None:
    hosted.shell("umask 077; umask", ceiling=ceiling_of(CALLS.keys() - {"umask"}))

    assert hosted.wait().status == 0
    assert hosted.logged() != "0077\n"


def test_a_ceiling_that_is_none_is_refused_before_anything_runs(hosted: HostedInstance) -> None:
    hosted.shell("echo never", ceiling=bytes(5000))

    record = hosted.wait()

    assert record.text == "the policy's ceiling is not valid: it is none, or of another version"
