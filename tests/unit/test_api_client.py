"""The client's own decisions: where the socket is, and that asking for it loads nothing slow."""

import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.api.client import find_socket, instance_path

SLOW = {"trio", "msgspec", "h11", "cffi", "pluggy", "asyncio", "tomllib"}


def test_the_option_wins_over_the_environment_and_that_over_the_configuration() -> None:
    environment = {"KWHOST_HOST": "/from/variable.sock", "KWHOST_RUN_DIR": "/run/here", "HOME": "/none"}
    assert find_socket("/from/option.sock", environment) == Path("/from/option.sock")
    assert find_socket(None, environment) == Path("/from/variable.sock")
    del environment["KWHOST_HOST"]
    assert find_socket(None, environment) == Path("/run/here/api.sock")


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("web", "/v1/instances/web"),
        ("acme/web", "/v1/instances/acme%2Fweb"),
        ("../x?y#z", "/v1/instances/..%2Fx%3Fy%23z"),
        ("\udcff", "/v1/instances/%FF"),
    ],
)
def test_references_cannot_change_the_path(reference: str, path: str) -> None:
    assert instance_path(reference) == path
    assert instance_path(reference, "stop") == f"{path}/stop"


def test_loading_the_client_loads_nothing_slow() -> None:
    code = "import sys, kwhost.core.api.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert SLOW.isdisjoint(done.stdout.split())
