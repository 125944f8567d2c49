"""An engine that a plugin brings fails alone: neither the daemon nor another instance notices."""

from pathlib import Path

import pytest

from kwhost.core.errors import HostError
from tests.functional.daemon_requests import act, create
from tests.functional.hosting import StartDaemon

pytestmark = [pytest.mark.kvm, pytest.mark.root]

PLUGIN = """
from kwhost.core.model.instance import Isolation
from kwhost.core.model.rules import EVERY_RULE
from kwhost.hookspecs import EngineOffer, hookimpl

class Broken:
    def launch_hosted(self, plan, ends):
        {failure}

def factory(lease):
    return Broken()

@hookimpl
def engines():
    return (EngineOffer(name="direct", isolation=Isolation.VM, factory=factory, enforces=EVERY_RULE),)
"""
CONFIGURATION = """
[host]
plugins = ["{plugin}"]
block_plugins = ["engine_direct"]
[tenants.acme.instances.configured]
command = "true"
"""


@pytest.mark.parametrize(
    "failure", ["raise RuntimeError('out of order')", "raise SystemExit('out of order')"]
)
def test_an_engine_that_raises_fails_the_start_alone(
    kwhostd: StartDaemon, tmp_path: Path, failure: str
) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(PLUGIN.format(failure=failure))
    daemon = kwhostd(CONFIGURATION.format(plugin=plugin))

    assert "out of order" in daemon.wait_state("configured", "failed")["message"]
    with pytest.raises(HostError, match="out of order"):
        create(daemon, "asked-for", "true")
    assert act(daemon, "stop", "configured")["state"] == "failed"
