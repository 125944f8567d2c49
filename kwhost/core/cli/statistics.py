"""What `--stats` prints: one table on standard error."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from kwhost.core.model.statistics import CallStatistics, CountedRule, InstanceStatistics
from kwhost.core.model.units import format_bytes

__all__ = ["format_rules", "format_statistics", "show_statistics", "statistics_of"]


def _call_row(call: CallStatistics) -> str:
    mean = call.seconds / call.calls * 1e6
    return f"  {call.calls:>9}  {call.failed:>7}  {call.refused:>7}  {mean:>10.1f}  {call.name}"


def _known(value: int | None, show: Callable[[int], str] = str) -> str:
    return "n/a" if value is None else show(value)


def format_statistics(statistics: InstanceStatistics) -> str:
    """The lines, with the most frequent calls first."""
    start = statistics.start_seconds
    lines = [
        f"start time      {start * 1000:.1f} ms" if start is not None else "start time      (never ran)",
        f"system calls    {_known(statistics.call_count)}",
        f"VM exits        {_known(statistics.exits)}",
        f"page faults     {_known(statistics.faults)}",
        f"processes       {_known(statistics.processes)}",
        f"threads         {_known(statistics.threads)}",
        f"peak memory     {_known(statistics.peak_memory, format_bytes)}",
    ]
    if statistics.notified_only:
        lines.append(f"notified calls  {statistics.notified_count} (no others are counted)")
    if statistics.calls:
        lines.append("      calls   failed  refused     mean us  name")
        lines += [
            _call_row(call) for call in sorted(statistics.calls, key=lambda call: (-call.calls, call.name))
        ]
    return "\n".join(lines) + "\n"


def format_rules(rules: Sequence[CountedRule]) -> str:
    """The rules of a policy that decided on calls; nothing where none did."""
    if not rules:
        return ""
    lines = ["       hits   denied  rule"]
    lines += [
        f"  {rule.hits:>9}  {rule.denied:>7}  {rule.text} ({rule.layer}, {rule.policy})" for rule in rules
    ]
    return "\n".join(lines) + "\n"


def statistics_of(counted: dict[str, Any]) -> InstanceStatistics:
    """The same from the API's answer."""
    calls = (CallStatistics(**call | {"histogram": tuple(call["histogram"])}) for call in counted["calls"])
    return InstanceStatistics(**counted | {"calls": tuple(calls)})


def show_statistics(statistics: InstanceStatistics, rules: Sequence[CountedRule] = ()) -> None:
    """Print them where results do not go."""
    sys.stderr.write(format_statistics(statistics) + format_rules(rules))
