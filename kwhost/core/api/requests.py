"""How requests are written and what streams bring, for every client; nothing else is loaded."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

__all__ = ["ServerEvent", "encode_query", "instance_path"]


class ServerEvent(NamedTuple):
    """One event of a stream; `id` is its place there, if it has one: what `after` takes."""

    name: str
    data: Any
    id: str | None = None


def instance_path(reference: str, operation: str = "") -> str:
    """The path of an instance, or of an operation on it."""
    path = f"/v1/instances/{quote(os.fsencode(reference), safe='')}"
    return f"{path}/{operation}" if operation else path


def encode_query(query: Mapping[str, Any]) -> str:
    """Parameters as they stand in a URL; those that are None are left out."""
    values = {name: value for name, value in query.items() if value is not None}
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    return urlencode(texts)
