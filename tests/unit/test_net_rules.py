"""The text of kwhost's tables: rules that nobody needs are left out."""

import re

import pytest

from kwhost.net.names import owner_of
from kwhost.net.rules import OPTIONAL_SETS, rules_text

OWNER = owner_of("/tests")


@pytest.mark.parametrize("name", sorted(OPTIONAL_SETS))
def test_rules_about_a_set_are_there_while_it_has_elements(name: str) -> None:
    use = re.compile(rf"@{name}\b")

    assert use.search(rules_text(OWNER, used=frozenset({name})))
    assert not use.search(rules_text(OWNER, used=OPTIONAL_SETS - {name}))
    assert f"set {name} {{" in rules_text(OWNER)


def test_conditions_are_not_part_of_what_nft_is_told() -> None:
    assert "#if" not in rules_text(OWNER) + rules_text(OWNER, used=OPTIONAL_SETS)
