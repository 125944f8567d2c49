"""What docs/jail.md says of the jail's filters."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["JailPage", "read_jail_page"]


ENDING = re.compile(r"^\n([\w, ]+)\.\n|these end it: ([\w, ]+)\.")


class JailPage(NamedTuple):
    """The tables of the page. `own`: by role, calls that are open under each ceiling; `passed`: calls of the
    program's that go on as they are; `needs`: further calls of a monitor, with those of the program's that
    they are for; `deadly`: what ends a process, by role, and in "what ends the process" of all roles of an
    instance; `counts`: how many calls a monitor has under each of the profiles."""

    own: Mapping[str, frozenset[str]]
    passed: frozenset[str]
    needs: Mapping[str, frozenset[str]]
    deadly: Mapping[str, frozenset[str]]
    counts: Mapping[str, int]

    def opened(self, role: str, ceiling: frozenset[str] | None) -> frozenset[str]:
        """The calls of a role where the program may ever make those of a ceiling; None: any."""
        if role in ("init", "supervise", "broker", "keeper"):
            return self.own[role]
        if role == "hosted":
            return self.own["supervise"] | self.own["hosted"]
        needs = {name for name, callers in self.needs.items() if ceiling is None or ceiling & callers}
        monitor = self.own["monitor"] | needs | (self.passed if ceiling is None else self.passed & ceiling)
        return monitor if role == "monitor" else monitor | self.own["joiner"]


def read_jail_page(project: Path) -> JailPage:
    """The page as it is."""
    text = (project / "docs/jail.md").read_text()
    chapters = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    lists = dict(re.findall(r"^- ([A-Z]+): (.*)\.$", text, re.MULTILINE))
    own: dict[str, set[str]] = {}
    needs: dict[str, frozenset[str]] = {}
    passed = ""
    deadly: dict[str, frozenset[str]] = {}
    for chapter in chapters:
        title, _, body = chapter.partition("\n")
        role = "hosted" if "hosted" in title else re.split("[:,]", title.lower())[0]
        if ended := ENDING.search(body):
            deadly[role] = frozenset(re.findall(r"\w+", ended[1] or ended[2]))
        if "passed on" in title:
            passed = re.sub(r" \(.*?\)", "", body)
        elif "for the program's" in body:
            for name, callers in re.findall(r"^\| (?!call )(\w+) \| .*? \| (.*?) \|", body, re.MULTILINE):
                needs[name] = frozenset(
                    re.findall(r"\w+", ", ".join(lists.get(x, x) for x in callers.split(", ")))
                )
        else:
            own.setdefault(role, set()).update(re.findall(r"^\| (?!call )(\w+) \|", body, re.MULTILINE))
    return JailPage(
        own={role: frozenset(names) for role, names in own.items()},
        passed=frozenset(re.findall(r"\w+", passed)),
        needs=needs,
        deadly=deadly,
        counts={
            name: int(count)
            for name, count in re.findall(r"^\| (\w+) \| (\d+) \| \d+ \|$", text, re.MULTILINE)
        },
    )
