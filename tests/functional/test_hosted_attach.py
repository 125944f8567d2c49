"""Attachments to a hosted instance: its standard streams, shared and never blocked for long."""

import os
import signal

import pytest

from kwhost.core.abi.messages import (
    AttachFlag,
    EventType,
    attach,
    hello,
    resize,
    stop,
)
from kwhost.core.model.instance import LogLimits, TerminalSize
from tests.functional.hosted import HostedInstance, Pipes, read_all, read_until, wait_until
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

BOTH = AttachFlag.STDIN | AttachFlag.OUTPUT


def test_an_attachment_gets_output_and_gives_input(hosted: HostedInstance, pipes: Pipes) -> None:
    hosted.shell("echo early; while read line; do echo got $line; echo err $line >&2; done", interactive=True)
    client = hosted.connect()
    wait_until(lambda: hosted.logged() == "early\n")
    (stdin, feed), (out, stdout), (err, stderr) = pipes(), pipes(), pipes()

    client.send(attach(BOTH), stdin, stdout, stderr)
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    os.write(feed, b"a\n")
    assert read_until(out, b"\n") == b"got a\n"
    assert read_until(err, b"\n") == b"err a\n"
    os.close(feed)  # the program's input stays open
    (stdin, feed) = pipes()
    client.send(attach(AttachFlag.STDIN | AttachFlag.CLOSE_STDIN), stdin)
    os.close(stdin)
    os.write(feed, b"b\n")
    os.close(feed)

    assert client.event(EventType.EXITED).value == 0
    assert read_all(out) == b"got b\n"
    assert hosted.logged() == "early\ngot a\ngot b\n"


def test_a_slow_attachment_is_cut_off_and_the_program_goes_on(hosted: HostedInstance, pipes: Pipes) -> None:
    read, write = pipes()
    hosted.shell(
        "read go; yes 0123456789 | head -c 3000000; echo; exit 5",
        interactive=True,
        log=LogLimits(size=10**8, files=1),
    )
    client = hosted.connect()
    (_, stuck), (_, other) = pipes(), pipes()
    client.send(attach(AttachFlag.OUTPUT), stuck, other)
    os.close(stuck)
    client.send(attach(AttachFlag.STDIN), read)
    os.write(write, b"go\n")

    assert "cut off" in client.event(EventType.NOTICE).text
    assert client.event(EventType.EXITED).value == 5
    assert len(hosted.logged()) == 3_000_001


def test_the_first_attachment_loses_nothing(hosted: HostedInstance, pipes: Pipes) -> None:
    (stdin, feed), (out, stdout), (err, stderr) = pipes(), pipes(), pipes()
    hosted.shell(
        "cat; yes 0123456789 | head -c 1000000; exit 4", interactive=True, stdio=(stdin, stdout, stderr)
    )
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    client = hosted.connect()
    (_, stuck), (_, other) = pipes(), pipes()
    client.send(attach(AttachFlag.OUTPUT), stuck, other)
    client.started()
    os.write(feed, b"input\n")
    os.close(feed)
    assert "cut off" in client.event(EventType.NOTICE).text  # others are waited for for a while only

    data = read_all(out)

    assert data == b"input\n" + (b"0123456789\n" * 100_000)[:1_000_000]
    assert read_all(err) == b""
    assert client.event(EventType.EXITED).value == 4
    assert hosted.logged().encode() == data


def test_after_a_stop_a_stuck_first_attachment_is_not_waited_for(
    hosted: HostedInstance, pipes: Pipes
) -> None:
    (stdin, _), (_, stdout), (_, stderr) = pipes(), pipes(), pipes()
    hosted.shell("while :; do echo 0123456789; done", stdio=(stdin, stdout, stderr))
    client = hosted.connect()
    client.started()

    client.send(stop(SECONDS * 1000))

    assert client.event(EventType.EXITED).value == 256 + signal.SIGTERM


def test_a_terminal_is_logged_attached_and_resized(hosted: HostedInstance, pipes: Pipes) -> None:
    hosted.shell(
        "stty size; while read line; do stty size; done",
        interactive=True,
        terminal=TerminalSize(rows=11, columns=22),
    )
    client = hosted.connect()
    (stdin, feed), (out, stdout), (_, stderr) = pipes(), pipes(), pipes()
    client.send(attach(BOTH | AttachFlag.CLOSE_STDIN), stdin, stdout, stderr)
    os.close(stdin)
    wait_until(lambda: hosted.log() and hosted.log()[0].text == "11 22\r")

    client.send(resize(33, 44))
    client.send(hello())
    client.event(EventType.HELLO)
    os.write(feed, b"x\n")
    assert b"33 44\r\n" in read_until(out, b"33 44\r\n")
    os.close(feed)  # typed as ^D

    assert client.event(EventType.EXITED).value == 0
