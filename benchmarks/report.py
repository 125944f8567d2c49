"""The table, and the same as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Series, Unit, Verdict

__all__ = ["format_table", "format_value", "write_json"]

_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"))
_SIZES = ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def format_value(value: float, unit: Unit) -> str:
    """With three digits that matter."""
    scales = _TIMES if unit is Unit.NANOSECONDS else _SIZES
    scale, name = next((pair for pair in scales if value >= pair[0]), scales[-1])
    number = value / scale
    digits = 2 if number < 10 else 1 if number < 100 else 0
    return f"{number:.{digits}f} {name}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    limit = figure.target.limit
    shown = format_value(limit, figure.unit) if figure.target.absolute else f"{limit:g}"
    return f"{'>=' if figure.speed else '<='} {shown}"


def _row(figure: Figure) -> tuple[str, ...]:
    reference, ratio, best = figure.reference, figure.ratio(), figure.ratio(best=True)
    spread = figure.spread()
    return (
        figure.name,
        format_value(figure.ours.middle, figure.unit),
        f"{reference.label} {format_value(reference.middle, figure.unit)}" if reference else "",
        f"{ratio:.2f}{' speed' if figure.speed else ''}" if ratio is not None else "",
        f"{spread[0]:.2f} to {spread[1]:.2f}" if spread else "",
        f"{best:.2f}" if best is not None else "",
        _target(figure),
        figure.verdict.value,
    )


_HEAD = ("", "kwhost", "reference", "ratio", "spread", "best", "target", "")


def format_table(figures: Sequence[Figure]) -> str:
    """All figures by group; `ratio` is of medians, `spread` the middle half of the rounds' own ratios, `best`
    of the best rounds."""
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]

    def line(row: tuple[str, ...]) -> str:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].ljust(widths[2])]
        cells += [row[column].rjust(widths[column]) for column in (3, 4, 5)]
        cells += [row[6].ljust(widths[6]), row[7]]
        return "  ".join(cells).rstrip()

    lines, group = [line(_HEAD)], ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        lines.append(line(_row(figure)))
    verdicts = [figure.verdict for figure in figures if figure.verdict is not Verdict.NONE]
    met = verdicts.count(Verdict.MET)
    return "\n".join([*lines, "", f"targets met: {met} of {len(verdicts)}"])


def _series(series: Series | None) -> dict[str, object] | None:
    if series is None:
        return None
    return {"label": series.label, "median": series.middle, "best": series.best, "values": series.values}


def write_json(path: Path, conditions: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Every round, for whoever wants to look closer."""
    records = [
        {
            "group": figure.group,
            "name": figure.name,
            "unit": figure.unit.value,
            "kwhost": _series(figure.ours),
            "reference": _series(figure.reference),
            "ratio": figure.ratio(),
            "best_ratio": figure.ratio(best=True),
            "target": figure.target and figure.target.limit,
            "speed": figure.speed,
            "verdict": figure.verdict.value,
        }
        for figure in figures
    ]
    path.write_text(json.dumps({"conditions": dict(conditions), "figures": records}, indent=1) + "\n")
