"""An uplink's interface and what is beyond it are one tenant's alone."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from kwhost.core.errors import Conflict
from kwhost.net.layout import lay_out
from kwhost.net.uplinks import without_conflicts
from kwhost.net.wishes import Wishes
from tests.unit.net_parts import ACME, GLOBEX, OWNER, SUBNETS, UPLINKS, network

MINE = network(uplinks=(UPLINKS[ACME],))
CONFLICTS: dict[str, dict[str, Any]] = {
    r"tenant globex cannot have the uplink across0: it is the uplink across0 of tenant acme": {
        "interface": "across0"
    },
    r"the uplink across1 to 10\.200\.0\.128/25: the uplink across0 of tenant acme has 10\.200\.0\.0/24": {
        "subnets": (IPv4Network("10.200.0.128/25"),)
    },
    r"the uplink across1 to 10\.[0-9.]+/24: tenant acme has 10\.[0-9.]+/24": {"subnets": SUBNETS[ACME][:1]},
    r"the uplink across1 to 10\.88\.0\.0/13: tenant [a-z]+ has 10\.[0-9.]+/24": {
        "subnets": (IPv4Network("10.88.0.0/13"),)
    },
    r"the uplink across1 to 10\.9\.0\.0/16: the same uplink has 10\.9\.1\.0/24": {
        "subnets": (IPv4Network("10.9.1.0/24"), IPv4Network("10.9.0.0/16"))
    },
    r"the uplink kwb0123456789ab: kwhost's own links have such names": {"interface": "kwb0123456789ab"},
}


@pytest.mark.parametrize("message", CONFLICTS)
def test_what_is_somebody_elses_is_an_error_that_names_both(message: str) -> None:
    other = network(GLOBEX, uplinks=(replace(UPLINKS[GLOBEX], **CONFLICTS[message]),))

    with pytest.raises(Conflict, match=message):
        lay_out(Wishes(owner=OWNER, networks=(MINE, other)))


@pytest.mark.parametrize("message", CONFLICTS)
def test_what_plugins_answer_can_be_had_without_conflicts(message: str) -> None:
    wrong = replace(UPLINKS[GLOBEX], **CONFLICTS[message])
    right = replace(UPLINKS[GLOBEX], interface="fine0")
    others = network(GLOBEX, uplinks=(wrong, right))

    networks, conflicts = without_conflicts((MINE, others))

    assert networks == (MINE, replace(others, uplinks=(right,)))
    assert len(conflicts) == 1
    lay_out(Wishes(owner=OWNER, networks=networks))


def test_without_conflicts_nothing_changes() -> None:
    networks = MINE, network(GLOBEX, uplinks=(UPLINKS[GLOBEX],))

    assert without_conflicts(networks) == (networks, ())
