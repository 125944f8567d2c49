"""How the protections of an instance without a virtual machine are told: those that hold, and the others."""

from collections.abc import Mapping
from typing import Any

from kwhost.core.model.protections import Protection

__all__ = ["format_protections", "list_protections"]


def list_protections(missing: Mapping[str, str], weaker: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each of them with whether it holds, as JSON has it; both say why, by name."""
    return [
        {
            "name": each.value,
            "holds": each.value not in missing,
            "meaning": each.meaning,
            "why_not": missing.get(each.value, ""),
            "weaker": weaker.get(each.value, ""),
        }
        for each in Protection
    ]


def format_protections(missing: Mapping[str, str], weaker: Mapping[str, str]) -> list[str]:
    """Lines for people."""
    lines = []
    for each in Protection:
        if each.value in missing:
            lines.append(f"{'LACKS':>8}  {each.value}: {missing[each.value]}")
        elif each.value in weaker:
            lines.append(f"{'weaker':>8}  {each.value}: {weaker[each.value]}")
        else:
            lines.append(f"{'holds':>8}  {each.value}: {each.meaning}")
    return lines
