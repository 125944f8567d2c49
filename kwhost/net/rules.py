"""The rules of kwhost's tables: tables/*.nft, for one owner."""

from functools import cache
from importlib.resources import files

from kwhost.net.names import Owner, table_name
from kwhost.net.reasons import Reason

__all__ = ["FAMILIES", "rules_text"]

FAMILIES = ("inet", "bridge")


@cache
def rules_text(owner: Owner) -> str:
    """Text for nft that makes the tables, or leaves their sets as they are where they exist."""
    variables = "".join(f"define {reason.name.lower()} = {reason.value}\n" for reason in Reason)
    texts = [(files("kwhost.net") / "tables" / f"{family}.nft").read_text() for family in FAMILIES]
    for index, family in enumerate(FAMILIES):
        head = f"table {family} kwhost {{"
        assert head in texts[index]
        texts[index] = texts[index].replace(head, f"table {family} {table_name(owner)} {{")
    return variables + "".join(texts)
