"""The image of a hosted instance's run: what it says counts for as long as the run lasts, also when its name
is removed or moves to another image meanwhile."""

from contextlib import suppress

import msgspec

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import ImageError
from kwhost.core.images.image import Image
from kwhost.core.images.service import kept_image
from kwhost.core.model.definition import Healthcheck, InstanceDefinition
from kwhost.core.model.image import ImageSettings
from kwhost.core.model.instance import InstanceSpec
from kwhost.core.supervise.surroundings import Surroundings

__all__ = ["RunImage", "kept_settings"]


def kept_settings(image: Image) -> bytes:
    """What a new daemon is to know of an image that the store does not know."""
    return b"" if image.digest or image.settings is None else msgspec.json.encode(image.settings)


class RunImage:
    """Of one instance, one run after the other."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._image: Image | None = None
        self._kept = ImageSettings()  # until the image itself is looked up

    @property
    def settings(self) -> ImageSettings:
        """What the image says about running it."""
        return (self._image and self._image.settings) or self._kept

    def command(self, definition: InstanceDefinition) -> tuple[str, ...]:
        """What is run, as far as this daemon knows the image."""
        return self.settings.program(definition.entrypoint, definition.command)

    def begin(self, image: Image) -> None:
        """A run with this image has begun."""
        self._image = image._replace(pin=-1)
        self._kept = ImageSettings()

    def adopt(self, dirs: InstanceDirs) -> None:
        """Go on with the run of an earlier daemon."""
        if digest := dirs.read_image():
            with suppress(ImageError):  # then it is looked up by its name when it is wanted
                self.begin(kept_image(self._around.state_dir, digest))
        elif settings := dirs.read_settings():
            with suppress(msgspec.MsgspecError):
                self._kept = msgspec.json.decode(settings, type=ImageSettings)

    def healthcheck(self, definition: InstanceDefinition) -> Healthcheck | None:
        """The definition's, else the image's."""
        return definition.healthcheck or self.settings.healthcheck

    async def for_program(self, spec: InstanceSpec) -> Image:
        """For a further program in the run. Raises KwhostError."""
        if self._image is None:
            found = await self._around.image(spec, "")
            found.close()  # the run itself has it
            self.begin(found)
        assert self._image
        return self._image
