"""`kwhost doctor` says what this host offers, and what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kwhost.core.cli.doctor import format_report
from kwhost.core.config.host import HostConfig
from kwhost.core.hostcheck.kvm import check_kvm
from kwhost.core.hostcheck.report import Verdict, can_run
from kwhost.core.hostcheck.resources import _check_address_layout
from kwhost.core.hostcheck.volumes import check_volumes
from tests.functional.bare import need_landlock
from tests.functional.without_kvm import hide_kvm


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
    assert {
        "KVM",
        "kernel",
        "namespaces",
        "overlayfs",
        "Landlock",
        "control groups",
        "ids",
        "volumes",
    } <= names


@pytest.mark.root
def test_without_kvm_the_engine_process_can_run_and_says_what_protects(kwhost_command: list[str]) -> None:
    command = hide_kvm(*kwhost_command, "doctor")

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "engine direct: cannot run" in done.stdout
    assert "engine process: can run" in done.stdout
    assert re.search(r"holds +user_namespace: ", done.stdout)


@pytest.mark.root
@pytest.mark.parametrize(("kind", "user"), [("container", "root"), ("user", "an ordinary user")])
def test_where_namespaces_are_refused_it_says_what_does_not_hold(
    kwhost_command: list[str], kind: str, user: str
) -> None:
    around = [sys.executable, "-m", "tests.functional.refuse_namespaces", need_landlock(kind)]
    command = [*around, *kwhost_command, "doctor", "--json"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    report = json.loads(done.stdout)
    assert report["engines"]["process"]["host_ok"]
    assert not report["engines"]["direct"]["host_ok"]
    (finding,) = (each for each in report["findings"] if each["engines"] == ["process"])
    assert (finding["verdict"], finding["seen"].endswith(user)) == ("weaker", True)
    holds = {each["name"]: each["holds"] for each in report["protections"]}
    assert (holds["seccomp"], holds["landlock"], holds["mounts"], holds["pids"]) == (True, True, False, False)
    assert all(each["why_not"] for each in report["protections"] if not each["holds"])


@pytest.mark.root
def test_what_volumes_lack_is_named(tmp_path: Path) -> None:
    host = HostConfig(tmp_path, tmp_path, tmp_path, volume_storage="ext4")

    (finding,) = check_volumes(host, devices=tmp_path)

    assert (finding.verdict, finding.seen) == (Verdict.WEAKER, "cannot be made")
    assert "modprobe loop" in finding.advice


@pytest.mark.root
def test_volumes_that_are_not_bounded_are_told(tmp_path: Path) -> None:
    host = HostConfig(tmp_path, tmp_path, tmp_path, volume_storage="directory")

    (finding,) = check_volumes(host)

    assert (finding.verdict, finding.seen) == (Verdict.WEAKER, "directories, unbounded")
    assert "volume_storage" in finding.advice


def test_what_is_missing_comes_with_advice(tmp_path: Path) -> None:
    findings = check_kvm(str(tmp_path / "kvm"))

    assert [finding.verdict for finding in findings] == [Verdict.MISSING]
    assert not can_run("direct", findings)
    assert can_run("process", findings)
    report = format_report(findings, None)
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
