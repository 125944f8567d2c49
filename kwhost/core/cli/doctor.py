"""`kwhost doctor`: what this host offers each engine, and what to do about what is missing."""

import json
from collections.abc import Sequence

from kwhost.core.cli.options import CommandParser, add_later_option
from kwhost.core.cli.results import show_result
from kwhost.core.hostcheck.report import Finding, can_run

__all__ = ["format_report", "main"]

_USAGE = "kwhost doctor [--json]"
_DESCRIPTION = (
    """Try what this host offers each engine. Exit status 0 when the engine 'direct' can run, else 1."""
)
_EPILOG = """examples:
  kwhost doctor
  kwhost doctor --json | jq .engines"""

# Engines of the contract; those that this version does not have are said to be so.
_ENGINES = {"direct": True, "kernel": False, "process": False}


def _engine_state(engine: str, findings: list[Finding]) -> str:
    state = "can run" if can_run(engine, findings) else "cannot run"
    return state if _ENGINES[engine] else f"{state} here; not available in this version yet"


def format_report(findings: list[Finding]) -> str:
    """The report for people."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict.value:>8}  {finding.name}: {finding.seen}")
        if finding.advice:
            lines.append(f"{'':>8}  -> {finding.advice}")
    lines.append("")
    lines += [f"engine {engine}: {_engine_state(engine, findings)}" for engine in _ENGINES]
    return "\n".join(lines) + "\n"


def _json_report(findings: list[Finding]) -> str:
    document = {
        "engines": {
            engine: {"available": available, "host_ok": can_run(engine, findings)}
            for engine, available in _ENGINES.items()
        },
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


def main(arguments: Sequence[str]) -> int:
    """Check and report."""
    parser = CommandParser("doctor", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_later_option(parser, "--security", argument=False)
    options = parser.parse_args(arguments)
    from kwhost.core.hostcheck.check import check_host  # brings ctypes: not for --help

    findings = check_host()
    show_result(_json_report(findings) if options.json else format_report(findings))
    return 0 if can_run("direct", findings) else 1
