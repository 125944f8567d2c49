"""Draws the text of a terminal as an SVG: `python tools/screenshot.py TITLE <TEXT >FILE.svg`."""

import re
import sys
from html import escape

COLUMN, LINE, TOP = 8, 18, 46
COLOURS = (
    (r"\$ ", "#ffffff"),
    (r"\S.*: \S+ -[ce]", "#61afef"),
    (r"  \|", "#98c379"),
    (r"  =|[A-Z]{2,} ", "#7f8896"),
)
WIDEST = 124


def colour(line: str) -> str:
    return next((found for pattern, found in COLOURS if re.match(pattern, line)), "#d7dae0")


def draw(title: str, lines: list[str]) -> str:
    height = TOP + LINE * len(lines) + 8
    width = 32 + COLUMN * max(map(len, lines))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">'
        ),
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" rx="8" fill="#1c1f26"/>',
        *(
            f'<circle cx="{22 + 18 * number}" cy="16" r="5" fill="{dot}"/>'
            for number, dot in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
    ]
    parts += [
        f'<text x="16" y="{TOP + LINE * number}" fill="{colour(line)}" xml:space="preserve" '
        f'textLength="{COLUMN * len(line)}">{escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    shown = [line.rstrip()[:WIDEST] for line in sys.stdin]
    sys.stdout.write(draw(sys.argv[1], [f"$ {sys.argv[1]}", *shown]))
