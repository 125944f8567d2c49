"""What all instances of a host share: directories, the store and its journal, cgroups, engines."""

from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from pathlib import Path

from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.engines.bare import sweep
from kwhost.core.engines.base import Engine
from kwhost.core.engines.id_ranges import IdLease
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.images.image import Image
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import InstanceSpec, LogLimits
from kwhost.core.supervise.images import HostedImages
from kwhost.core.supervise.journal import Journal
from kwhost.core.supervise.networking import Networks
from kwhost.core.supervise.policies import PolicySource
from kwhost.core.supervise.questions import Questions
from kwhost.core.supervise.roots import HostedRoots
from kwhost.core.supervise.secrets import SecretStore
from kwhost.core.supervise.volumes import HostedVolumes

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Given to each instance. `engine` makes an engine by its name, for one start; `image` finds out how
    an instance's root is made, of the image with a digest unless that is "": it raises ImageError and what
    the image's source raises."""

    run_dir: Path
    state_dir: Path
    uid_base: int
    log: LogLimits
    journal: Journal
    cgroups: Cgroups
    engine: Callable[[str, IdLease], Engine]
    image: Callable[[InstanceSpec, str], Awaitable[Image]]
    policies: PolicySource
    questions: Questions
    networks: Networks
    volumes: HostedVolumes
    secrets: SecretStore
    images: HostedImages
    roots: HostedRoots

    def dirs(self, instance: InstanceId) -> InstanceDirs:
        """The directories of an instance."""
        return InstanceDirs.of(self.run_dir, self.state_dir, instance)

    async def remove_leftovers(self, known: Container[InstanceId], live: Container[InstanceId]) -> None:
        """Remove what belongs to no instance, or to no run: a daemon was killed between making it and noting
        it, or between removing the note and the thing."""
        for directory in _entries(self.run_dir / "instances"):
            if directory.name not in live:
                self.dirs(InstanceId(directory.name)).remove_run()
        for directory in _entries(self.state_dir / "instances"):
            if directory.name not in known:
                sweep(directory.name)
                self.dirs(InstanceId(directory.name)).remove()
        self.secrets.remove_others(known)
        for group in self.cgroups.leftovers(live):
            await group.kill()
            await group.remove()


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []
