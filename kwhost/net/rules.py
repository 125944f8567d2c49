"""The rules of kwhost's tables: tables/*.nft, for one owner."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from string import Template

from kwhost.net.names import Owner, table_name
from kwhost.net.reasons import Reason

__all__ = ["FAMILIES", "OPTIONAL_SETS", "rules_text"]

FAMILIES = ("inet", "bridge")


# The sets of the family bridge whose rules are left out while they have no elements.
OPTIONAL_SETS = frozenset(
    ("isolated", "packets_up", "packets_down", "tenant_packets_up", "tenant_packets_down")
)
_CONDITION = "#if "


@cache
def rules_text(
    owner: Owner, connections: frozenset[int] = frozenset(), used: frozenset[str] = frozenset()
) -> str:
    """Text for nft that makes the tables, or leaves their sets as they are where they exist.

    `connections` are the limits of connections that some instance or tenant has; `used`: which OPTIONAL_SETS
    have elements.
    """
    numbers = {reason.name.lower(): str(reason.value) for reason in Reason}
    texts = []
    for family in FAMILIES:
        text, head = (
            (files("kwhost.net") / "tables" / f"{family}.nft").read_text(),
            f"table {family} kwhost {{",
        )
        assert head in text
        texts.append(text.replace(head, f"table {family} {table_name(owner)} {{"))
    chains = "".join(_connection_chains(limit) for limit in sorted(connections))
    texts.append(f"table inet {table_name(owner)} {{\n{chains}}}\n")
    text = "".join(_present_lines("".join(texts), used))
    return Template(text).substitute(numbers)


def _present_lines(text: str, used: frozenset[str]) -> Iterator[str]:
    for line in text.splitlines():
        rule, condition, name = line.partition(_CONDITION)
        assert not condition or name in OPTIONAL_SETS
        if not condition or name in used:
            yield f"{rule.rstrip()}\n"


def _connection_chains(limit: int) -> str:
    """The chains that hold one limit, for whoever has it: an element cannot say it, for the kernel removes
    elements that count no connection."""
    chains = (
        ("calls", "refuse", ("@open4 { ip saddr", "@open6 { ip6 saddr")),
        ("called", "refuse_caller", ("@open4 { ip daddr", "@open6 { ip6 daddr")),
        ("tenant_calls", "refuse", ("@open { iifname",)),
        ("tenant_called", "refuse_caller", ("@open { oifname",)),
    )
    text = ""
    for name, verdict, counts in chains:
        rules = (
            f"\t\tadd {count} ct count over {limit} }} meta mark set $connections goto {verdict}\n"
            for count in counts
        )
        text += f"\tchain {name}_{limit} {{\n{''.join(rules)}\t}}\n"
    return text
