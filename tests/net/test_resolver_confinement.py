"""The resolver makes the calls that it needs and no others, whatever a question does to it."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.abi.call_names import call_name
from kwhost.net.resolver.calls import ALLOWED, DEADLY
from tests.net.confined import EXEMPT, LAST
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]

PERMITTED = (
    "naming the process",
    "a question",
    "the tables",
    "a thread",
    "resolv.conf",
    "a server on a link",
)
REFUSED = (
    *("a Unix socket", "routes", "executable memory", "memory made executable", "binding to a link"),
    *("a signal", "writing a file", "a namespace", "another prctl"),
)


@pytest.fixture(scope="module")
def results(project: Path) -> Any:
    """What became of each attempt."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.net.confined"],
        cwd=project,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_every_other_call_is_refused(results: Any) -> None:
    numbers = set(range(LAST)) - {*EXEMPT}
    known = {call_name(number) for number in numbers} - {row.name for row in ALLOWED} - {*DEADLY, "clone3"}

    assert {name: results[name] for name in known} == dict.fromkeys(known, errno.EPERM)


def test_what_it_never_does_by_mistake_ends_it(results: Any) -> None:
    assert {name: results[name] for name in (*DEADLY, "x32")} == dict.fromkeys((*DEADLY, "x32"), "killed")


@pytest.mark.parametrize("attempt", REFUSED)
def test_calls_go_so_far_and_no_further(results: Any, attempt: str) -> None:
    assert results[attempt] == errno.EPERM


@pytest.mark.parametrize("attempt", PERMITTED)
def test_what_it_needs_is_left(results: Any, attempt: str) -> None:
    assert results[attempt] == 0


def test_threads_are_made_the_way_that_can_be_seen(results: Any) -> None:
    assert results["clone3"] == errno.ENOSYS


def test_no_file_beside_the_hosts_list_of_resolvers_is_read(results: Any) -> None:
    if results["landlock"] < 0:
        pytest.skip("this kernel has no Landlock")

    assert results["reading another file"] == errno.EACCES
