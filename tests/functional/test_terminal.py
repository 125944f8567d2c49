"""`kwhost run -it`: a real terminal, given back as it was."""

import os
import pty
import signal
import subprocess
import termios
from collections.abc import Iterator

import pytest

from kwhost.core.operator.terminal import terminal_size
from tests.functional.session import Session
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

# A command that says that it runs; what is typed says something else.
JOB = "sh -c 'echo st\"\"arted; exec sleep 1000'"


@pytest.fixture
def shell(kwhost_command: list[str]) -> Iterator[Session]:
    session = Session(
        [*kwhost_command, "run", "-it", "-e", "PS1=ready> ", "--", "bash", "--norc", "--noediting"]
    )
    session.wait_for("ready> ")
    yield session
    session.close()


def test_it_is_a_terminal_with_the_operators_size(shell: Session) -> None:
    shell.type("tty; stty size\n")

    assert "/dev/pts/" in shell.wait_for("30 100")


def test_a_new_size_reaches_the_program(shell: Session) -> None:
    wait = "import os, signal; signal.pthread_sigmask(0, {28}); print('wait' + 'ing', flush=True); "
    shell.type(f'python3 -c "{wait} signal.sigwait({{28}}); print(os.get_terminal_size())"\n')
    shell.wait_for("waiting")

    termios.tcsetwinsize(shell.slave, (41, 123))
    shell.process.send_signal(signal.SIGWINCH)

    shell.wait_for("columns=123, lines=41")


@pytest.mark.hw
def test_interrupt_reaches_the_foreground_job_only(shell: Session) -> None:
    shell.type(f"{JOB}; echo status $?\n")
    shell.wait_for("started")

    shell.type("\x03")

    shell.wait_for("ready> ")
    shell.type("echo alive\n")
    shell.wait_for("alive\r\n")


def test_job_control(shell: Session) -> None:
    shell.type(f"{JOB}\n")
    shell.wait_for("started")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.type("bg; jobs; kill %1; wait; echo over\n")
    shell.wait_for("Running")
    shell.wait_for("over\r\n")


@pytest.mark.hw
def test_the_status_comes_out_and_the_terminal_is_as_before(shell: Session) -> None:
    shell.type("exit 9\n")

    assert shell.process.wait(SECONDS) == 9
    assert termios.tcgetattr(shell.slave) == shell.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_restored_when_a_signal_ends_it(kwhost_command: list[str], number: int) -> None:
    session = Session([*kwhost_command, "run", "-it", "--", "sh", "-c", "echo up; sleep 1000"])
    try:
        session.wait_for("up")
        assert termios.tcgetattr(session.slave) != session.before
        session.process.send_signal(number)

        assert session.process.wait(SECONDS) == 128 + number
        assert termios.tcgetattr(session.slave) == session.before
    finally:
        session.close()


def test_a_terminal_without_an_operator(kwhost_command: list[str]) -> None:
    done = subprocess.run(
        [*kwhost_command, "run", "-t", "--", "sh", "-c", "test -t 1 && stty size"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert (done.returncode, done.stdout) == (0, "24 80\n")


def test_sizes_are_those_of_terminals_only() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (5, 6))
    try:
        size = terminal_size(slave)
        assert size is not None
        assert (size.rows, size.columns) == (5, 6)
    finally:
        os.close(master)
        os.close(slave)
    reader, writer = os.pipe()
    assert terminal_size(reader) is None
    os.close(reader)
    os.close(writer)
