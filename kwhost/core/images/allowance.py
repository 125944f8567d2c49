"""What an owner may still add to the store, however much room there is on the disk."""

from collections.abc import Callable, Mapping

from kwhost.core.images.digests import Digest
from kwhost.core.images.layer_writer import LayerBounds

__all__ = ["Allowance", "Take", "archive_bound", "unbounded"]

# Takes so many bytes more of what an owner may have, and says how many are left then; None: any number.
# Raises QuotaExceeded.
Take = Callable[[int], int | None]


# Documents, and what files lose in blocks.
_BESIDES = 16 << 20


def archive_bound(left: int | None, own: int) -> int | None:
    """The most bytes that an archive may have of which something can come: what is left for its owner, and
    what the owner has already, which it may repeat. None: any number."""
    return None if left is None else left + own + _BESIDES


def unbounded(_size: int) -> int | None:
    """For the operator."""
    return None


class Allowance:
    """Of one owner, while archives are added. What an owner has already, in whichever image, counts once."""

    def __init__(self, owner: str | None, own: Mapping[Digest, int], take: Take) -> None:
        self._owner = owner
        self._counted = set(own)
        self._own = sum(own.values())
        self._take = take

    def count(self, blob: Digest, size: int) -> None:
        """The owner has a blob, of so many bytes with what it was unpacked to. Raises QuotaExceeded."""
        if blob not in self._counted:
            self._take(size)
            self._counted.add(blob)

    def within(self, bounds: LayerBounds, size: int) -> LayerBounds:
        """The bounds of a layer, whose blob has so many bytes, or stricter ones. Raises QuotaExceeded."""
        left = self._take(0)
        return self._stricter(bounds, None if left is None else left - size)

    def of_archive(self, bounds: LayerBounds) -> LayerBounds:
        """The same for a whole archive."""
        return self._stricter(bounds, archive_bound(self._take(0), self._own))

    def _stricter(self, bounds: LayerBounds, most: int | None) -> LayerBounds:
        if most is None or most >= bounds.size:
            return bounds
        return bounds._replace(size=max(most, 0), limit=f"that is left of the storage of {self._owner}")
