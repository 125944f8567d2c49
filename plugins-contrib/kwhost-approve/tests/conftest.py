"""kwhost's fixtures for the tests of plugins, and a webhook."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from webhooks import SECRET, Webhook, serve_webhook

from kwhost_approve.plugin import Approve

if TYPE_CHECKING:  # pytest imports it itself, to explain its assertions
    from kwhost.testing import LoadedPlugin, LoadPlugin
    from webhooks import Load

pytest_plugins = ["kwhost.testing"]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """It allows everything, until a test changes `react`."""
    with serve_webhook() as webhook:
        yield webhook


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def load(load_plugin: "LoadPlugin", webhook: Webhook, secret_file: Path) -> "Load":
    """Loads the plugin for the webhook; keys change the configuration."""

    def load(**keys: object) -> "LoadedPlugin":
        section = {"url": webhook.url, "secret_file": str(secret_file), **keys}
        return load_plugin(Approve(), "approve", **section)

    return load
