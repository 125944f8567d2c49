"""Layers of policy that plugins make: at the start, and again while programs run."""

from pathlib import Path

import pytest

from tests.functional.hosting import StartDaemon, eventually

pytestmark = pytest.mark.kvm

PLUGIN = """
from pathlib import Path
import trio
from kwhost.hookspecs import hookimpl

TABLE = Path("TABLE")

@hookimpl
def policy_layer(definition):
    text = TABLE.read_text()
    return eval(text)

@hookimpl
async def serve(host):
    before = TABLE.read_text()
    while True:
        await trio.sleep(0.05)
        if TABLE.read_text() != before:
            before = TABLE.read_text()
            for status in host.instances():
                try:
                    await host.refresh_policy(status.id)
                except Exception as error:
                    host.log(f"refused: {error}")
"""
TRIES = (
    "was=; while :; do mkdir /tmp/made 2>/dev/null && now=yes || now=no; rmdir /tmp/made 2>/dev/null;"
    ' [ \\"$was\\" = $now ] || echo $now; was=$now; sleep 0.05; done'
)
OPEN = "{'base': 'default'}"
CLOSED = "{'base': 'default', 'syscalls': {'deny': ['mkdir']}}"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """What the plugin answers with."""
    path = tmp_path / "table"
    path.write_text(CLOSED)
    return path


def configuration(tmp_path: Path, table: Path) -> str:
    plugin = tmp_path / "sealing.py"
    plugin.write_text(PLUGIN.replace('"TABLE"', f'"{table}"'))
    return (
        f'[host]\nplugins = ["{plugin}"]\n[tenants.acme.instances.job]\ncommand = ["sh", "-c", "{TRIES}"]\n'
    )


def test_a_plugins_layer_holds_and_is_asked_for_again(
    kwhostd: StartDaemon, tmp_path: Path, table: Path
) -> None:
    daemon = kwhostd(configuration(tmp_path, table))

    def wait_logged(*lines: str) -> None:
        eventually(lambda: daemon.run("logs", "job").stdout.split() == list(lines), f"{lines}")

    wait_logged("no")
    layers = daemon.client.request("GET", "/v1/instances/job/policy")["layers"]
    assert [layer["name"] for layer in layers] == ["instance", "plugin sealing"]

    table.write_text(OPEN)
    wait_logged("no", "yes")

    table.write_text("{'syscalls': {'deny': ['mkdr']}}")  # a mistake leaves the layer as it was
    eventually(lambda: "there is no system call 'mkdr'" in daemon.said, "the plugin's fault")
    assert daemon.run("logs", "job").stdout.split() == ["no", "yes"]

    table.write_text(CLOSED)
    wait_logged("no", "yes", "no")


def test_a_plugin_that_fails_keeps_instances_from_starting(
    kwhostd: StartDaemon, tmp_path: Path, table: Path
) -> None:
    table.write_text("{'syscalls': {'deny': ['mkdr']}}")
    daemon = kwhostd(configuration(tmp_path, table))

    status = daemon.wait_state("job", "failed")

    assert "the plugin sealing" in status["message"]
    assert "there is no system call 'mkdr'; did you mean mkdir?" in status["message"]
