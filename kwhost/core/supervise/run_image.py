"""The image of a hosted instance's run: what it says counts for as long as the run lasts, also when its name
is removed or moves to another image meanwhile."""

from contextlib import suppress

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import ImageError
from kwhost.core.images.image import Image
from kwhost.core.images.service import kept_image
from kwhost.core.model.definition import Healthcheck, InstanceDefinition
from kwhost.core.model.image import ImageSettings
from kwhost.core.model.instance import InstanceSpec
from kwhost.core.supervise.surroundings import Surroundings

__all__ = ["RunImage"]


class RunImage:
    """Of one instance, one run after the other."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._image: Image | None = None

    @property
    def settings(self) -> ImageSettings:
        """What the image says about running it."""
        return (self._image and self._image.settings) or ImageSettings()

    def command(self, definition: InstanceDefinition) -> tuple[str, ...]:
        """What is run, as far as this daemon knows the image."""
        return self.settings.program(definition.entrypoint, definition.command)

    def begin(self, image: Image) -> None:
        """A run with this image has begun."""
        self._image = image._replace(pin=-1)

    def adopt(self, dirs: InstanceDirs) -> None:
        """Go on with the run of an earlier daemon."""
        if digest := dirs.read_image():
            with suppress(ImageError):  # then it is looked up by its name when it is wanted
                self.begin(kept_image(self._around.state_dir, digest))

    def healthcheck(self, definition: InstanceDefinition) -> Healthcheck | None:
        """The definition's, else the image's."""
        return definition.healthcheck or self.settings.healthcheck

    async def for_program(self, spec: InstanceSpec) -> Image:
        """For a further program in the run. Raises KwhostError."""
        if self._image is None:
            found = await self._around.image(spec)
            found.close()  # the run itself has it
            self.begin(found)
        assert self._image
        return self._image
