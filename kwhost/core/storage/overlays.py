"""Whether overlays can be had: tried once for each file system that layers are on.

    RUN_DIR/overlays/DEVICE   there it works; gone with the next start of the host

Where it does not work it is tried each time, which costs less than the copy that is made then.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.model.mounts import Mount, MountFlag

__all__ = ["Overlays", "layers_of"]


def layers_of(root: Mount) -> list[str]:
    """The directories that a root is made of, by paths that are used as they are: links on the way to them
    lead nowhere, unless the image allows it, and then they are followed here."""
    layers = (root.source or "").split(":")
    return layers if MountFlag.NO_LINKS in root.flags else [os.path.realpath(layer) for layer in layers]


class Overlays:
    """Of one run directory. Blocking."""

    def __init__(self, run_dir: Path) -> None:
        self._known = run_dir / "overlays"

    def is_known(self, layers: Sequence[str]) -> bool:
        """Whether overlays over these directories are known to work. Raises HostError."""
        return not self._untried(layers)

    def refusal(self, layers: Sequence[str]) -> str:
        """Why no overlay can be made over these directories; "" where one can. Raises HostError,
        ImageError."""
        untried = self._untried(layers)
        if not untried:
            return ""
        from kwhost.core.images.root_work import overlay_refusal  # seldom wanted

        if refused := overlay_refusal(list(untried.values())):
            return refused
        with suppress(OSError):  # it is tried again
            self._known.mkdir(mode=0o700, parents=True, exist_ok=True)
            for mark in untried:
                mark.touch(mode=0o600)
        return ""

    def _untried(self, layers: Sequence[str]) -> dict[Path, str]:
        """One layer of each file system that is not known, by its mark."""
        try:
            marks = {self._known / f"{os.stat(layer).st_dev:x}": layer for layer in layers}
        except OSError as error:
            raise HostError(f"cannot use the root file system {error.filename}: {error.strerror}") from error
        return {mark: layer for mark, layer in marks.items() if not mark.exists()}
