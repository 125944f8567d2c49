"""`kwhost doctor`: what this host offers each engine, and what to do about what is missing."""

import json
from collections.abc import Sequence

from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.protections import format_protections, list_protections
from kwhost.core.cli.results import show_json, show_result
from kwhost.core.hostcheck.report import Finding, can_run
from kwhost.core.hostcheck.security.concern import Concern, State, to_do
from kwhost.core.model.protections import Protections

__all__ = ["format_report", "format_security", "main"]

_USAGE = "kwhost doctor [--security] [--json]"
_DESCRIPTION = """Try what this host offers each engine. Exit status 0 when the engine 'direct' can run,
else 1. With --security: look at what this host's settings risk for tenants who do not trust each other.
Exit status 0 when there is nothing to do, else 1."""
_EPILOG = """examples:
  kwhost doctor
  kwhost doctor --json | jq .engines
  kwhost doctor --security"""

# Engines of the contract; those that this version does not have are said to be so.
_ENGINES = {"direct": True, "kernel": False, "process": True}


def _engine_state(engine: str, findings: list[Finding]) -> str:
    state = "can run" if can_run(engine, findings) else "cannot run"
    return state if _ENGINES[engine] else f"{state} here; not available in this version yet"


def _named(protections: Protections) -> dict[str, dict[str, str]]:
    """As the API tells them."""
    return {
        "missing": {each.value: why for each, why in protections.missing.items()},
        "weaker": {each.value: why for each, why in protections.weaker.items()},
    }


def format_report(findings: list[Finding], protections: Protections | None) -> str:
    """The report for people. `protections`: of the engine `process`, None where it cannot run."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict.value:>8}  {finding.name}: {finding.seen}")
        if finding.advice:
            lines.append(f"{'':>8}  -> {finding.advice}")
    lines.append("")
    lines += [f"engine {engine}: {_engine_state(engine, findings)}" for engine in _ENGINES]
    if protections:
        lines += [
            "",
            "what protects this host from programs of the engine process:",
        ]
        lines += format_protections(**_named(protections))
    return "\n".join(lines) + "\n"


def _json_report(findings: list[Finding], protections: Protections | None) -> str:
    document = {
        "engines": {
            engine: {"available": available, "host_ok": can_run(engine, findings)}
            for engine, available in _ENGINES.items()
        },
        "protections": list_protections(**_named(protections)) if protections else None,
        "findings": [
            {
                "name": finding.name,
                "verdict": finding.verdict.value,
                "seen": finding.seen,
                "advice": finding.advice,
                "engines": list(finding.engines),
            }
            for finding in findings
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def format_security(concerns: list[Concern]) -> str:
    """The report on security for people: what a thing risks is told where it is not in order."""
    lines = []
    for concern in concerns:
        lines.append(f"{concern.state.value:>8}  {concern.name}: {concern.seen}")
        if concern.state is not State.OK:
            lines.append(f"{'':>8}     risks: {concern.risk}")
        if concern.state is State.RISK:
            lines.append(f"{'':>8}  -> {concern.advice}")
    count = len(to_do(concerns))
    lines += ["", f"{count} of {len(concerns)} need something done" if count else "nothing to do"]
    return "\n".join(lines) + "\n"


def _report_security(*, as_json: bool) -> int:
    from datetime import UTC, datetime
    from pathlib import Path

    from kwhost.core.hostcheck.kernel import landlock_version
    from kwhost.core.hostcheck.security.check import check_security

    version, _ = landlock_version()
    concerns = check_security(Path("/"), landlock=version, today=datetime.now(UTC).date())
    if as_json:
        entries = [concern._asdict() | {"state": concern.state.value} for concern in concerns]
        show_json({"to_do": len(to_do(concerns)), "concerns": entries})
    else:
        show_result(format_security(concerns))
    return 1 if to_do(concerns) else 0


def main(arguments: Sequence[str]) -> int:
    """Check and report."""
    parser = CommandParser("doctor", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--security", action="store_true", help="look at what this host's settings risk")
    options = parser.parse_args(arguments)
    if options.security:
        return _report_security(as_json=options.json)
    from kwhost.core.hostcheck.check import check_host  # brings ctypes: not for --help
    from kwhost.core.hostcheck.process import check_process

    process = check_process()
    findings = [*check_host(), process.finding]
    report = _json_report if options.json else format_report
    show_result(report(findings, process.protections))
    return 0 if can_run("direct", findings) else 1
