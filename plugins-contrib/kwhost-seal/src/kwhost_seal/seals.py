"""Which runs of instances are sealed, in a file that outlives the daemon, as the instances do."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from kwhost.core.errors import HostError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceState, InstanceStatus

__all__ = ["Run", "Seals", "run_of"]

_RUNNING = (InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPING)


class Run(NamedTuple):
    """One run of an instance: from its start, in seconds since 1970, to its end."""

    instance: InstanceId
    started: float


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    sealed: list[tuple[str, float]]


def run_of(status: InstanceStatus) -> Run | None:
    """The run that an instance is in; None where it does not run."""
    if status.state not in _RUNNING or status.started is None:
        return None
    return Run(status.id, status.started)


class Seals:
    """The sealed runs; `path` is their file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: frozenset[Run] = frozenset()

    def __contains__(self, run: object) -> bool:
        return run in self._runs

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def load(self) -> None:
        """Read the file, if there is one. Raises HostError: no sealed instance may be taken for an open
        one."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise HostError(
                f"cannot tell which instances are sealed: {self._path}: {error}; restart the instances that "
                "[plugins.seal] names, then remove the file"
            ) from error
        self._runs = frozenset(Run(InstanceId(instance), started) for instance, started in kept.sealed)

    def set(self, runs: Iterable[Run]) -> bool:
        """From now on these are sealed; whether that is a change."""
        before, self._runs = self._runs, frozenset(runs)
        return self._runs != before

    def save(self) -> None:
        """Write the file. Raises OSError."""
        new = self._path.with_name(f".{self._path.name}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(_Kept(version=1, sealed=sorted(self._runs))))
        new.rename(self._path)
