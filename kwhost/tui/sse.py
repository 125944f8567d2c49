"""Server-sent events out of the bytes of a stream. Pure."""

import json
from typing import Any

from kwhost.core.api.requests import ServerEvent
from kwhost.core.errors import ApiError

__all__ = ["EventParser"]

# An event with the use of every instance of a large host has a few megabytes.
_EVENT_MAX = 64 * 1024 * 1024


class EventParser:
    """Takes bytes as they come; an event is given once it is complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that these bytes complete. Raises ApiError for what is no event."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > _EVENT_MAX:
            raise ApiError("an event of the daemon's has no end")
        try:
            return [_parse(block) for block in blocks]
        except (ValueError, KeyError) as error:
            raise ApiError("the daemon sent something that is no event") from error


def _parse(block: bytes) -> ServerEvent:
    fields: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    data: Any = json.loads(fields["data"])
    return ServerEvent(fields.get("event", ""), data, fields.get("id"))
