"""What a plugin did wrong, as one line, and calling its plain functions so that none can hold its caller
up."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["PluginFault", "blaming_plugin", "call_bounded", "one_line"]

T = TypeVar("T")

_TEXT_MAX = 300
_GROUP_MAX = 3


class PluginFault(Exception):  # noqa: N818 - the word of the guide
    """A plugin raised, was too slow, or gave an answer that makes no sense. Never leaves core.pluginmgr."""


def one_line(error: BaseException) -> str:
    """What an exception says, bounded and printable; its text is the plugin's. A group says what is in it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(one_line(part) for part in error.exceptions[:_GROUP_MAX])[:_TEXT_MAX]
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the plugin's own code
        text = ""
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * _TEXT_MAX])
    text = " ".join(text.split())[:_TEXT_MAX]
    if isinstance(error, PluginFault):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name


@contextmanager
def blaming_plugin() -> Iterator[None]:
    """What is raised inside is the plugin's doing and becomes PluginFault, but for cancellation and ^C."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise PluginFault(one_line(error)) from error
    except BaseExceptionGroup as group:
        _, others = group.split((Exception, SystemExit))
        if others is not None:
            raise others from None
        raise PluginFault(one_line(group)) from group


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
