"""What a plugin did wrong, as one line, and calling its plain functions so that none can hold its caller
up."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["PluginFault", "call_bounded", "one_line"]

T = TypeVar("T")

_TEXT_MAX = 300


class PluginFault(Exception):  # noqa: N818 - the word of the guide
    """A plugin raised, was too slow, or gave an answer that makes no sense. Never leaves core.pluginmgr."""


def one_line(error: BaseException) -> str:
    """What an exception says, bounded and printable; its text is the plugin's."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the plugin's own code
        text = ""
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * _TEXT_MAX])
    text = " ".join(text.split())[:_TEXT_MAX]
    name = type(error).__name__
    if isinstance(error, PluginFault):
        return text
    return f"{name}: {text}" if text else name


def call_bounded(function: Callable[[], T], seconds: float) -> T:
    """Call in a thread that is left behind where it takes too long. Raises PluginFault, whatever happens."""
    outcomes: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a plugin is its fault like any other
            outcomes.put((None, error))

    threading.Thread(target=run, name="plugin", daemon=True).start()
    try:
        answer, error = outcomes.get(timeout=seconds)
    except queue.Empty:
        raise PluginFault(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise PluginFault(one_line(error)) from error
    return answer  # type: ignore[return-value]  # of the two kinds of pair this is the first
