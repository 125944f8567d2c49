"""What can be done with instances: one table for keys, palette, confirmation and command lines. Pure."""

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from kwhost.core.api.requests import instance_path
from kwhost.core.model.status import InstanceState

__all__ = ["ACTIONS", "Action", "command_line"]

_S = InstanceState


class Action(NamedTuple):
    """`verb` is the command's name and what a question asks; `done` what is said afterwards. It can be done
    in `states`; a destructive one is confirmed first."""

    verb: str
    done: str
    states: frozenset[InstanceState]
    destructive: bool = False
    method: str = "POST"
    operation: str = ""
    query: dict[str, Any] | None = None
    command: str = ""
    options: tuple[str, ...] = ()
    warning: str = ""

    def request(self, name: str) -> tuple[str, str, dict[str, Any] | None]:
        """Method, path and query of the API for the instance TENANT/NAME."""
        return self.method, instance_path(name, self.operation), self.query


_RUNS = frozenset({_S.STARTING, _S.RUNNING, _S.PAUSED, _S.STOPPING})
_RESTS = frozenset({_S.CREATED, _S.EXITED, _S.FAILED, _S.CRASH_LOOP})

ACTIONS = {
    "start": Action("start", "started", _RESTS, operation="start"),
    "stop": Action(
        "stop", "stopped", _RUNS | {_S.CRASH_LOOP}, destructive=True, operation="stop",
        warning="The programs are asked to end, and killed if they do not.",
    ),
    "restart": Action(
        "restart", "restarted", _RUNS | _RESTS, destructive=True, operation="restart",
        warning="The programs end and begin anew; what they hold in memory is lost.",
    ),
    "pause": Action("pause", "paused", frozenset({_S.RUNNING}), operation="pause"),
    "resume": Action("resume", "resumed", frozenset({_S.PAUSED}), operation="resume"),
    "kill": Action(
        "kill", "killed", _RUNS, destructive=True, operation="kill", query={"signal": 9},
        warning="The programs end at once, without a chance to save anything.",
    ),
    "remove": Action(
        "remove", "removed", _RUNS | _RESTS, destructive=True, method="DELETE", query={"force": True},
        command="rm", options=("-f",), warning="Their logs are deleted; those that run are killed.",
    ),
}  # fmt: skip


def command_line(action: Action, names: Sequence[str]) -> str:
    """What does the same on a command line."""
    return shlex.join(["kwhost", action.command or action.verb, *action.options, *names])
