"""The keys that let go of a program on a terminal: ctrl-p ctrl-q, as with Docker. Pure."""

__all__ = ["DetachKeys"]

_FIRST, _SECOND = 0x10, 0x11


class DetachKeys:
    """Watches the keys that go to a program. A ctrl-p is held until the next key shows what it meant."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the program, and whether the operator lets go of it; keys after that are lost."""
        passed = bytearray()
        for key in data:
            if self._begun and key == _SECOND:
                return bytes(passed), True
            if self._begun:
                passed.append(_FIRST)
            self._begun = key == _FIRST
            if not self._begun:
                passed.append(key)
        return bytes(passed), False
