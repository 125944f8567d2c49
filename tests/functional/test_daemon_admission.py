"""Quotas hold when many ask at once, whatever takes its time in between."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, KwhostError, QuotaExceeded
from tests.functional.daemon_requests import create
from tests.functional.hosting import StartDaemon

pytestmark = [pytest.mark.kvm, pytest.mark.root]

ASKING = 4
# Lets nobody pass before all have asked.
PLUGIN = f"""
import kwhost, trio
asked = 0

@kwhost.hookimpl
async def admit_instance(definition):
    global asked
    asked += 1
    while asked < {ASKING}:
        await trio.sleep(0.001)
"""
CONFIGURATION = """
[host]
plugins = ["{plugin}"]
[tenants.acme]
max_instances = 1
"""


@pytest.mark.parametrize(
    ("tenant", "names", "refusal"),
    [("acme", ["a", "b", "c", "d"], QuotaExceeded), ("default", ["a"] * ASKING, Conflict)],
)
def test_only_one_of_several_gets_the_last_place(
    kwhostd: StartDaemon, tmp_path: Path, tenant: str, names: list[str], refusal: type[KwhostError]
) -> None:
    plugin = tmp_path / "slow.py"
    plugin.write_text(PLUGIN)
    daemon = kwhostd(CONFIGURATION.format(plugin=plugin))

    def ask(name: str) -> KwhostError | None:
        try:
            create(daemon, name, "sleep", "1000", tenant=tenant)
        except KwhostError as error:
            return error
        return None

    with ThreadPoolExecutor(ASKING) as threads:
        outcomes = list(threads.map(ask, names))

    assert [type(outcome) for outcome in outcomes if outcome] == [refusal] * (ASKING - 1)
    assert len(daemon.client.request("GET", "/v1/instances", {"all": True})) == 1
