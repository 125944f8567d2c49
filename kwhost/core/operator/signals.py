"""Signals that the operator's command passes on to its instance, and how none is lost before it can.

The instance starts before the event loop does. Until the loop receives signals they wait in the
kernel, instead of ending this process and with it the instance.
"""

import signal

__all__ = ["FORWARDED", "forwarded_signals", "hold_signals", "release_signals"]

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def forwarded_signals() -> list[int]:
    """Those to receive here: what this command was started to ignore (nohup, `&` in a script) stays so."""
    return [number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]


def hold_signals() -> None:
    """Let them wait. Processes that are started now inherit this; `supervise` starts with no mask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)


def release_signals() -> None:
    """Let those come that waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
