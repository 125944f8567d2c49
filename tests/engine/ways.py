"""The ways in which tests have programs run as instances: by which engine, and for whom."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.functional import refuse_namespaces

__all__ = ["BARE", "BROKERED", "DIRECT", "PROCESS", "USER", "Way", "case"]

_PROCESS = ("--engine", "process", "--isolation", "process")
# The user id 1000 of a user namespace that gives no rights to what is outside of it.
_AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
_IN_A_CONTAINER = (sys.executable, str(refuse_namespaces.__file__), "container")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`kwhost run` with these options, run by this command."""

    name: str
    options: tuple[str, ...] = ()
    caller: tuple[str, ...] = ()
    marks: tuple[pytest.MarkDecorator, ...] = field(default=(), hash=False)

    @property
    def is_bare(self) -> bool:
        """The program is in no namespaces: nothing can be shown to it by a mount."""
        return self.caller == _IN_A_CONTAINER

    @property
    def is_direct(self) -> bool:
        """The program has a virtual machine."""
        return not self.options


DIRECT = Way(name="direct", marks=(pytest.mark.kvm,))
PROCESS = Way(name="process", options=_PROCESS)
BARE = Way(name="process-bare", options=_PROCESS, caller=_IN_A_CONTAINER)
# Calls with paths and addresses are made by the broker.
BROKERED = Way(
    name="process-brokered",
    options=(*_PROCESS, "--policy", str(Path(__file__).with_name("brokered.toml"))),
    marks=(pytest.mark.slow,),
)
USER = Way(name="process-user", options=_PROCESS, caller=_AS_USER, marks=(pytest.mark.slow,))


def case(way: Way, *values: object, name: str = "", marks: tuple[pytest.MarkDecorator, ...] = ()) -> object:
    """What a test is called with, this way last; what else it needs is marked."""
    parts = [part for part in (name, way.name) if part]
    return pytest.param(*values, way, id="-".join(parts), marks=(*way.marks, *marks))
