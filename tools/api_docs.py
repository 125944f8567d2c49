"""Puts the table of routes into docs/api.md; with --check tells whether it is up to date."""

import sys

from pages import ROOT, write_or_check

from kwhost.core.api.routes import ROUTES, Access, Parameter, Route

PAGE = ROOT / "docs/api.md"
BEGIN = "<!-- routes: made by tools/api_docs.py from kwhost/core/api/routes.py -->\n"
END = "<!-- end of routes -->\n"
WHO = {Access.ANYBODY: "anybody", Access.USER: "users", Access.OPERATOR: "operators"}


def type_name(kind: object) -> str:
    """As a reader of the page knows it: `Name`, or `Name[]` for a list."""
    text = str(kind)
    if text.startswith("tuple["):
        return type_name(kind.__args__[0]) + "[]"  # type: ignore[attr-defined]
    return kind.__name__ if isinstance(kind, type) else "object"


def parameter_text(parameter: Parameter) -> str:
    """One query parameter."""
    return f"`{parameter.name}`: {parameter.summary}" + (" (needed)" if parameter.required else "")


def row(route: Route) -> str:
    """One line of the table."""
    about = [route.summary, *map(parameter_text, route.query)]
    body = type_name(route.request) if route.request else ("tar" if route.method == "PUT" else "")
    answer = type_name(route.answer) if route.answer else "tar"
    if route.status == 101:
        answer = "frames"
    cells = (route.method, f"`{route.path}`", WHO[route.access], body, answer, "; ".join(about))
    return f"| {' | '.join(cells)} |\n"


def table() -> str:
    """All routes."""
    head = "| | path | for | body | answer | |\n|---|---|---|---|---|---|\n"
    return BEGIN + "\n" + head + "".join(map(row, ROUTES)) + "\n" + END


def make_page() -> str:
    """The page as it is, with the table of now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + table() + after


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, make_page()))
