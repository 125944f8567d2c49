"""What an owner may still add to the store, however much room there is on the disk."""

from collections.abc import Callable, Iterable

from kwhost.core.images.digests import Digest
from kwhost.core.images.layer_writer import LayerBounds

__all__ = ["Allowance", "Take", "unbounded"]

# Takes so many bytes more of what an owner may have, and says how many are left then; None: any number.
# Raises QuotaExceeded.
Take = Callable[[int], int | None]


def unbounded(_size: int) -> int | None:
    """For the operator."""
    return None


class Allowance:
    """Of one owner, while archives are added. What an owner has already, in whichever image, counts once."""

    def __init__(self, owner: str | None, own: Iterable[Digest], take: Take) -> None:
        self._owner = owner
        self._counted = set(own)
        self._take = take

    def count(self, blob: Digest, size: int) -> None:
        """The owner has a blob, of so many bytes with what it was unpacked to. Raises QuotaExceeded."""
        if blob not in self._counted:
            self._take(size)
            self._counted.add(blob)

    def within(self, bounds: LayerBounds, size: int) -> LayerBounds:
        """The bounds of a layer, whose blob has so many bytes, or stricter ones. Raises QuotaExceeded."""
        left = self._take(0)
        if left is None or left - size >= bounds.size:
            return bounds
        return bounds._replace(
            size=max(left - size, 0), limit=f"that is left of the storage of {self._owner}"
        )
