"""What the command line shows of the daemon's answers."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.cli.events import format_event
from kwhost.core.cli.ps import format_instances
from kwhost.core.cli.reload import format_changes
from kwhost.core.cli.stats import Sample, format_usage
from kwhost.core.cli.tables import clean, format_age, format_table
from kwhost.core.cli.tenant import format_tenants
from kwhost.core.model.daemon import Changes

NOW = 1_000_000.0


def instance(**changes: Any) -> dict[str, Any]:
    return {
        "id": "0123456789ab",
        "name": "web-1",
        "tenant": "acme",
        "engine": "direct",
        "isolation": "vm",
        "state": "running",
        "health": "healthy",
        "pid": 7,
        "image": "host",
        "command": ["sleep", "60"],
        "created": NOW - 500,
        "started": NOW - 200,
        "ended": None,
        "exit_code": None,
        "reason": None,
        "message": "",
        "restarts": 0,
        "ports": [],
    } | changes


def usage(**changes: Any) -> dict[str, Any]:
    names = (
        "cpu_seconds memory memory_peak memory_limit pids pids_limit read_bytes written_bytes calls "
        "notified refused exits faults start_seconds sent_bytes received_bytes"
    )
    return dict.fromkeys(names.split()) | changes


def cells(table: str, row: int = 1) -> list[str]:
    return [cell for cell in table.splitlines()[row].split("  ") if cell]


def test_an_instance_is_a_line_with_its_health_and_age() -> None:
    shown = format_instances([instance()], NOW)

    assert [cell.strip() for cell in cells(shown)] == [
        *("0123456789ab", "acme", "web-1", "running", "healthy", "3 minutes", "0", "direct", "-", "sleep 60"),
    ]


def test_what_has_ended_shows_its_exit_code_and_how_long_ago() -> None:
    ended = instance(state="exited", exit_code=3, ended=NOW - 7200, health="none")

    shown = [cell.strip() for cell in cells(format_instances([ended], NOW))]

    assert shown[3:6] == ["exited (3)", "-", "2 hours"]


def test_an_instance_without_a_virtual_machine_is_marked() -> None:
    assert "no VM" in format_instances([instance(engine="process", isolation="process")], NOW)


def test_columns_are_aligned_and_lines_are_cut_at_the_terminals_width() -> None:
    table = format_table(("A", "LONGER"), [("wide cell", "x"), ("b", "y" * 50)], 20).splitlines()

    assert table[0].index("LONGER") == table[1].index("x") == table[2].index("y")
    assert [len(line) for line in table][2] == 20
    assert table[2].endswith("...")


@given(st.text())
def test_nothing_that_is_shown_acts_on_a_terminal(text: str) -> None:
    event = {"time": NOW, "tenant": "acme", "name": text, "kind": "notice", "text": text}

    for shown in (
        format_instances([instance(command=[text])], NOW),
        format_table(("A",), [(text,)]),
        format_event(event),
    ):
        assert shown.replace("\n", "").isprintable()
        shown.encode()
    assert clean(text).isprintable()


def test_ages_are_in_their_largest_unit() -> None:
    ages = [format_age(seconds) for seconds in (0, 1, 59.9, 60, 7199, 86400, 10**9)]

    assert ages == ["now", "1 second", "59 seconds", "1 minute", "1 hour", "1 day", "11574 days"]


def test_processors_are_measured_between_two_samples() -> None:
    use = {"id": "a", "tenant": "acme", "name": "web", "state": "running"}
    after = use | {"usage": usage(cpu_seconds=3.5, memory=2**20, memory_limit=2**21, calls=7)}

    shown = format_usage(Sample([after], {"a": 3.0}))

    assert "50.0 %" in shown
    assert "1.0 MiB / 2.0 MiB" in shown


def test_what_is_not_known_is_no_zero() -> None:
    use = {"id": "a", "tenant": "acme", "name": "web", "state": "running", "usage": usage()}

    assert [cell.strip() for cell in cells(format_usage(Sample([use], {})))][2:] == ["n/a"] * 11


def test_a_tenant_shows_what_it_uses_of_its_quotas() -> None:
    tenant = {
        "name": "acme",
        "users": ["alice", "bob"],
        "isolation": "vm",
        "instances": 3,
        "running": 2,
        "used": {"max_instances": 3.0, "cpus": 0.5, "memory": float(2**28), "storage": 0, "pids": 60},
        "quota": {"max_instances": 10, "cpus": 4, "memory": 2**30, "storage": None, "pids": None},
    }

    shown = [cell.strip() for cell in cells(format_tenants([tenant]))]

    assert shown == [
        *("acme", "vm", "2", "3 of 10", "0.5 of 4", "256.0 MiB of 1.0 GiB", "0 B", "60", "alice,bob"),
    ]


def test_a_reload_says_what_it_did() -> None:
    nothing: dict[str, list[str]] = {field.name: [] for field in fields(Changes)}

    assert format_changes(nothing) == "nothing changed\n"
    assert format_changes(nothing | {"restarted": ["acme/web"]}) == "restarted: acme/web\n"


@pytest.mark.parametrize("kind", [field.name for field in fields(Changes)])
def test_nothing_that_a_reload_did_or_refused_is_left_out(kind: str) -> None:
    nothing: dict[str, list[str]] = {field.name: [] for field in fields(Changes)}

    assert format_changes(nothing | {kind: ["acme/web: why"]}).endswith(": acme/web: why\n")
