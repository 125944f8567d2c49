"""How long work on images may take, however it is made up: others wait for its place."""

import time

from kwhost.core.errors import ImageError

__all__ = ["LOAD_SECONDS", "Deadline"]

LOAD_SECONDS = 2 * 3600.0


class Deadline:
    """Begins now."""

    def __init__(self, seconds: float = LOAD_SECONDS) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then. Raises ImageError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise ImageError(f"adding the images did not come to an end in {self._seconds / 3600:g} hours")
        return left
