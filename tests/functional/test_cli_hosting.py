"""The command line with a real daemon: what operators do all day."""

import json

import pytest

from tests.functional.hosting import StartDaemon

pytestmark = pytest.mark.kvm

TWO = """
[tenants.acme.instances.one]
command = ["sh", "-c", "echo from one; echo aside >&2; exec sleep 1000"]
[tenants.acme.instances.two]
command = "sleep 1000"
"""


def test_ps_lists_what_the_configuration_names(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(TWO)
    daemon.wait_state("one", "running")
    daemon.wait_state("two", "running")

    listed = {each["name"]: each for each in json.loads(daemon.run("ps", "--json").stdout)}

    assert set(listed) == {"one", "two"}
    assert listed["two"]["state"] == "running"
    assert "sleep 1000" in daemon.run("ps").stdout
