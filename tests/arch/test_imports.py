"""What importing costs: static contracts cannot see what is deferred."""

import subprocess
import sys

import pytest

HEAVY = ("trio", "cffi", "_cffi_backend", "msgspec", "pluggy", "textual", "pyte", "pyroute2")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import kwhost",
        "import kwhost.core.cli.main",
        "import kwhost.core.cli.run",
        "import kwhost.core.cli.doctor",
        "from kwhost.core.cli.main import main; main(['run', '--network=x', 'true'])",
        "from kwhost.core.cli.main import main; main(['--help'])",
        "from kwhost.core.cli.main import main; main(['tui', '--help'])",
        "from kwhost.core.cli.main import main; main(['tui'])",
        "from kwhost.core.cli.main import main; main(['--host', '/nowhere', 'ps'])",
        "from kwhost.core.cli.main import main; main(['--host', '/nowhere', 'run', 'true'])",
        "from kwhost.core.cli.main import main; main(['--host', '/nowhere', 'exec', 'name', 'true'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(statement: str) -> None:
    assert loaded_by(statement).isdisjoint(HEAVY)


def test_running_loads_no_configuration_reader_or_user_interface() -> None:
    loaded = loaded_by("import kwhost.core.local, kwhost.core.supervise.foreground")

    assert "trio" in loaded
    assert loaded.isdisjoint({"tomllib", "textual", "pyroute2", "pluggy", "rich", "asyncio"})


def test_an_instance_starts_before_the_event_loop_is_loaded() -> None:
    assert "trio" not in loaded_by("import kwhost.core.local, kwhost.core.engines.direct")
