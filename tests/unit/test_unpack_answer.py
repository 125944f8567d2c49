"""Whoever waits for the process that unpacks waits neither for ever nor for more than can be taken."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.unpack_answer import read_answer

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as ends:

        def start(script: str) -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(
                ["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
            ends.enter_context(process)
            ends.callback(process.kill)
            return process

        yield start


def test_an_answer_is_taken_whatever_is_complained_about(start: Start) -> None:
    script = """head -c 1000000 /dev/zero >&2; echo '{"size": 1}'"""

    assert read_answer(start(script), 30) == {"size": 1}


def test_its_refusal_is_the_images_error(start: Start) -> None:
    with pytest.raises(ImageError, match=r"^no good$"):
        read_answer(start("""echo '{"error": "no good"}'"""), 30)


def test_why_it_failed_is_told(start: Start) -> None:
    with pytest.raises(HostError, match="failed: last words"):
        read_answer(start("echo first words >&2; echo last words >&2; exit 1"), 30)


def test_who_says_too_much_is_not_heard_to_the_end(start: Start) -> None:
    with pytest.raises(ImageError, match="says more about it than is taken"):
        read_answer(start("exec yes"), 30)


@pytest.mark.parametrize("script", ["exec sleep 1000", "exec sleep 1000 >&- 2>&-", "exec yes >&2"])
def test_who_does_not_end_is_not_waited_for(script: str, start: Start) -> None:
    with pytest.raises(ImageError, match="did not come to an end"):
        read_answer(start(script), 0.1)


@pytest.mark.parametrize("script", ["exec sleep 1000", "exec sleep 1000 >&- 2>&-", "exec yes >&2"])
def test_whoever_looks_after_it_may_give_it_up(script: str, start: Start) -> None:
    def look() -> None:
        raise HostError("no room")

    with pytest.raises(HostError, match="no room"):
        read_answer(start(script), 30, look)
