"""Programs that take the whole terminal, as their users meet them (what a terminal is: tests/functional)."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.engine.ways import Way
from tests.functional.session import Session
from tests.patience import SECONDS

pytestmark = pytest.mark.root

Start = Callable[..., Session]


@pytest.fixture
def start(way: Way, kwhost_command: list[str]) -> Iterator[Start]:
    """Starts a command on a terminal of an instance."""
    sessions: list[Session] = []

    def run(*command: str) -> Session:
        kwhost = [*way.caller, *kwhost_command, "run", *way.options]
        sessions.append(Session([*kwhost, "-it", "-e", "PS1=ready> ", "--", *command]))
        return sessions[-1]

    yield run
    for session in sessions:
        session.close()


@pytest.fixture
def shell(start: Start) -> Session:
    """bash at its prompt."""
    session = start("bash", "--norc")
    session.wait_for("ready> ")
    return session


def test_a_stopped_job_comes_back_to_the_foreground(shell: Session) -> None:
    shell.type("echo st''arted; cat\n")
    shell.wait_for("started")
    shell.type("first\n")
    shell.wait_for("first\r\nfirst")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("ready> ")

    shell.type("fg\n")
    shell.wait_for("cat\r\n")
    shell.type("second\n")
    shell.wait_for("second\r\nsecond")
    shell.type("\x04")
    shell.wait_for("ready> ")
    shell.type("echo al''ive; exit 3\n")
    shell.wait_for("alive")

    assert shell.process.wait(SECONDS) == 3


def test_python_s_own_prompt(start: Start) -> None:
    python = start("/usr/bin/python3", "-q")
    python.wait_for(">>> ")
    python.type("6 * 7\n")
    python.wait_for("42")
    python.type("while True: pass\n\n")
    python.wait_for("... ")
    python.type("\x03")
    python.wait_for("KeyboardInterrupt")
    python.type("import os; os.isatty(0), os.get_terminal_size().lines\n")
    python.wait_for("(True, 30)")
    python.type("exit(4)\n")

    assert python.process.wait(SECONDS) == 4


@pytest.mark.skipif(not shutil.which("vim"), reason="vim is not installed")
def test_an_editor(shell: Session) -> None:
    shell.type("vim -u NONE /tmp/note\n")
    shell.wait_for("~")
    shell.type("iwritten here\x1b:wq\n")
    shell.wait_for("ready> ")
    shell.type("cat /tmp/note; exit\n")
    shell.wait_for("written here")

    assert shell.process.wait(SECONDS) == 0


def test_top_draws_and_ends(start: Start) -> None:
    top = start("top", "-d", "1")
    top.wait_for("top - ")
    top.wait_for("Tasks:")
    top.wait_for("top - ")  # it draws again by itself
    top.type("q")

    assert top.process.wait(SECONDS) == 0


def test_a_terminal_inside_the_terminal(start: Start) -> None:
    script = start("script", "-q", "-c", "tty; test -t 0 && echo nes''ted", "/dev/null")
    script.wait_for("/dev/pts/")
    script.wait_for("nested")

    assert script.process.wait(SECONDS) == 0
