"""`kwhost doctor` says what this host offers, and what to do."""

import json
import subprocess
from pathlib import Path

import pytest

from kwhost.core.cli.doctor import format_report
from kwhost.core.hostcheck.kvm import check_kvm
from kwhost.core.hostcheck.report import Verdict, can_run
from kwhost.core.hostcheck.resources import _check_address_layout


@pytest.mark.kvm
@pytest.mark.hw
def test_a_host_with_kvm_can_run_the_direct_engine(kwhost_command: list[str]) -> None:
    done = subprocess.run([*kwhost_command, "doctor"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "engine direct: can run" in done.stdout


def test_json_has_the_same_findings(kwhost_command: list[str]) -> None:
    done = subprocess.run([*kwhost_command, "doctor", "--json"], capture_output=True, text=True, check=False)

    report = json.loads(done.stdout)
    assert report["engines"]["direct"]["available"] is True
    assert done.returncode == (0 if report["engines"]["direct"]["host_ok"] else 1)
    names = {finding["name"] for finding in report["findings"]}
    assert {"KVM", "kernel", "namespaces", "overlayfs", "Landlock", "control groups", "ids"} <= names


def test_what_is_missing_comes_with_advice(tmp_path: Path) -> None:
    findings = check_kvm(str(tmp_path / "kvm"))

    assert [finding.verdict for finding in findings] == [Verdict.MISSING]
    assert not can_run("direct", findings)
    assert can_run("process", findings)
    report = format_report(findings)
    assert "-> load KVM" in report
    assert "engine direct: cannot run" in report


@pytest.mark.parametrize(("setting", "runs"), [("0\n", True), ("1\n", False)])
def test_the_address_layout_of_former_times_is_a_problem(tmp_path: Path, setting: str, *, runs: bool) -> None:
    file = tmp_path / "legacy_va_layout"
    file.write_text(setting)

    finding = _check_address_layout(str(file))

    assert can_run("direct", [finding]) is runs
    assert bool(finding.advice) is not runs


def test_security_of_this_host_is_told(kwhost_command: list[str]) -> None:
    command = [*kwhost_command, "doctor", "--security"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=False).stdout
    )

    assert done.returncode == (1 if report["to_do"] else 0)
    assert {"SMT", "swap", "page merging (KSM)", "mitigations", "/dev/kvm", "kernel lockdown"} <= {
        concern["name"] for concern in report["concerns"]
    }
    assert all(concern["risk"] for concern in report["concerns"])
    assert all(concern["advice"] for concern in report["concerns"] if concern["state"] == "risk")
