"""`kwhost plugin`: a new plugin works as it is written, and is listed once it is installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.cli.plugin import main
from kwhost.core.cli.plugin_command import find_plugin_command
from kwhost.core.errors import UsageError

COMMAND_PLUGIN = """
from kwhost.hookspecs import CliCommand, hookimpl

@hookimpl
def cli_commands():
    return [CliCommand(name="greet", summary="say hello", main=lambda arguments: len(arguments))]
"""


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, and one of no importance."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_plugins_own_tests_pass_as_written(workshop: Path) -> None:
    assert main(["new", "audit-trail"]) == 0

    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        tests, cwd=workshop / "kwhost-audit-trail", capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_new_plugin_is_listed_once_it_is_installed(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["new", "audit"])
    source = workshop / "kwhost-audit/src"
    information = source / "kwhost_audit-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: kwhost-audit\nVersion: 0.1.0\n")
    (information / "entry_points.txt").write_text("[kwhost]\naudit = kwhost_audit\n")
    monkeypatch.syspath_prepend(source)
    capsys.readouterr()

    assert main(["ls", "--json"]) == 0

    shown = capsys.readouterr()
    entries = {entry["name"]: entry for entry in json.loads(shown.out)}
    assert entries["audit"]["state"] == "active"
    assert entries["audit"]["hooks"] == ["admit_instance", "configuration_type"]
    assert entries["engine_direct"]["state"] == "active"
    assert "no daemon runs" in shown.err


def test_the_list_for_people_has_a_line_for_each(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "STATE", "HOOKS", "MESSAGE"]
    assert "engine_direct" in {line.split()[0] for line in lines}


@pytest.mark.parametrize("name", ["Audit", "a_b", "-a", "a--b", "../x", "a" * 41])
def test_names_that_will_not_do_are_refused(workshop: Path, name: str) -> None:
    with pytest.raises(UsageError):
        main(["new", "--", name] if name.startswith("-") else ["new", name])

    assert list(workshop.iterdir()) == []


def test_what_is_there_already_stays(workshop: Path) -> None:
    main(["new", "audit"])
    before = sorted(workshop.rglob("*"))

    with pytest.raises(UsageError, match="exists already"):
        main(["new", "audit"])

    assert sorted(workshop.rglob("*")) == before


def test_plugins_add_commands(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = workshop / "config" / "kwhost" / "config.toml"
    configuration.parent.mkdir(parents=True)
    (workshop / "greeting.py").write_text(COMMAND_PLUGIN)
    configuration.write_text('[host]\nplugins = ["greeting"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workshop / "config"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.syspath_prepend(workshop)

    command = find_plugin_command("greet")

    assert command
    assert command(["a", "b"]) == 2
    assert find_plugin_command("meet") is None
