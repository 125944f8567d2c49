"""A definition of the API as TOML. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from kwhost.core.model.text import clean

__all__ = ["to_toml"]


def _value(value: Any) -> str:
    """JSON's strings and numbers are TOML's too."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(
            f"{_key(name)} = {_value(each)}" for name, each in value.items() if each is not None
        )
        return f"{{ {inside} }}" if inside else "{}"
    return clean(json.dumps(value, ensure_ascii=False))


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else clean(json.dumps(name, ensure_ascii=False))


def to_toml(definition: Mapping[str, Any]) -> str:
    """The table `[tenants.T.instances.N]`, without what is empty."""
    lines = [f"[tenants.{_key(str(definition['tenant']))}.instances.{_key(str(definition['name']))}]"]
    lines += [
        f"{_key(name)} = {_value(value)}"
        for name, value in definition.items()
        if name not in ("tenant", "name") and value not in (None, [], {}, "")
    ]
    return "\n".join(lines)
