"""What every engine offers."""

from typing import Protocol

from kwhost.core.abi.messages import Event
from kwhost.core.model.instance import LaunchPlan
from kwhost.core.model.statistics import InstanceStatistics

__all__ = ["Engine", "RunningInstance"]


class RunningInstance(Protocol):
    """An instance whose start was begun; whoever got it closes it."""

    async def wait_event(self) -> Event | None:
        """The next event, in order; None once there can be no more."""

    async def send(self, message: bytes) -> None:
        """Send a control message; silently nothing once the instance is gone."""

    def statistics(self) -> InstanceStatistics | None:
        """As far as counted now; None where the page cannot be read."""

    async def aclose(self) -> None:
        """End the instance if it still runs, and wait until nothing of it is left."""


class Engine(Protocol):
    """Starts instances in one way of isolating them."""

    async def launch(self, plan: LaunchPlan) -> RunningInstance:
        """Begin to start an instance that uses the caller's standard streams; raises KwhostError."""
