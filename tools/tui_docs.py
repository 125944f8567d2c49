"""Keeps the table of keys in docs/tui.md as kwhost/tui/keys.py has it: `--check` only compares."""

import sys
from pathlib import Path

from kwhost.tui.keys import KEYS, SCOPES

PAGE = Path(__file__).resolve().parents[1] / "docs/tui.md"
BEGIN = "<!-- keys: made by tools/tui_docs.py from kwhost/tui/keys.py -->\n"
END = "<!-- end of keys -->\n"
NAMES = {
    "question_mark": "?", "colon": ":", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]",
}  # fmt: skip


def table() -> str:
    lines = ["", "| key | | id |", "|---|---|---|"]
    for scope, title in SCOPES.items():
        lines.append(f"| **{title}** | | |")
        for key in KEYS:
            if key.scope == scope:
                names = ", ".join(f"`{NAMES.get(name, name)}`" for name in key.keys.split(","))
                lines.append(f"| {names} | {key.help}{' *' if key.changes else ''} | `{key.id}` |")
    return "\n".join([*lines, "", ""])


def main() -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}{table()}{END}{after}"
    if made == page:
        return
    if "--check" in sys.argv:
        sys.exit("docs/tui.md is not up to date: run python tools/tui_docs.py")
    PAGE.write_text(made)


if __name__ == "__main__":
    main()
