"""Every key there is: bindings, help, palette, documentation and one's own keys come from here."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from textual.binding import Binding, BindingType

from kwhost.core.errors import ConfigError

__all__ = ["CHANGING", "KEYS", "SCOPES", "Key", "bindings", "keys_file", "load_keymap"]

SCOPES = {
    "everywhere": "On every screen",
    "table": "In tables",
    "overview": "Overview",
    "tenants": "Overview by tenant",
    "instance": "An instance",
    "logs": "Its logs",
    "calls": "Its system calls",
    "rules": "Its system calls and policy",
    "processes": "Its processes",
    "metrics": "Its metrics",
    "several": "Several logs",
    "start": "A new instance",
    "hosts": "Hosts",
    "images": "Images",
    "image": "An image",
    "volumes": "Volumes",
    "questions": "Questions",
}

# Scopes that are live at the same time: a key has one meaning in each of these.
_TOGETHER = (
    ("everywhere", "table", "overview", "tenants"),
    ("everywhere", "table", "instance", "logs"),
    ("everywhere", "table", "instance", "calls", "rules"),
    ("everywhere", "table", "instance", "processes"),
    ("everywhere", "table", "instance", "metrics"),
    ("everywhere", "logs", "several"),
    ("everywhere", "table", "questions"),
    ("everywhere", "start"),
    ("everywhere", "table", "hosts"),
    ("everywhere", "table", "images"),
    ("everywhere", "image"),
    ("everywhere", "table", "volumes"),
)


class Key(NamedTuple):
    """`id` is what the file of keys calls it; `label` stands in the bottom line if `show`. `changes`: not in
    read-only mode."""

    id: str
    keys: str
    action: str
    label: str
    help: str
    show: bool = False
    changes: bool = False

    @property
    def scope(self) -> str:
        """The part of the screens where it works."""
        return self.id.partition(".")[0]


def _state_control(scope: str) -> tuple[Key, ...]:
    return (
        Key(f"{scope}.start", "s", "control('start')", "Start", "start it", changes=True),
        Key(f"{scope}.stop", "x", "control('stop')", "Stop", "stop it", show=True, changes=True),
        Key(f"{scope}.restart", "r", "control('restart')", "Restart", "restart it", show=True, changes=True),
        Key(f"{scope}.pause", "p", "control('pause')", "Pause", "freeze it", changes=True),
        Key(f"{scope}.resume", "u", "control('resume')", "Resume", "let it go on", changes=True),
        Key(f"{scope}.kill", "K", "control('kill')", "Kill", "kill it at once", changes=True),
        Key(f"{scope}.remove", "D", "control('remove')", "Remove", "remove it with its logs", changes=True),
    )


def _control(scope: str) -> tuple[Key, ...]:
    return (
        *_state_control(scope),
        Key(f"{scope}.exec", "e", "console('exec')", "Shell", "a shell in it", show=True, changes=True),
        Key(f"{scope}.command", "E", "command", "Command", "a program in it, on a terminal", changes=True),
        Key(f"{scope}.attach", "t", "console('attach')", "Attach", "its program's terminal", changes=True),
    )


KEYS = (
    Key("everywhere.help", "question_mark,f1", "help_keys", "Help", "the keys that work here", show=True),
    Key("everywhere.palette", "colon,ctrl+p", "command_palette", "Palette", "find a command or an instance"),
    Key("everywhere.questions", "a", "questions", "Asked", "the calls that wait for an answer"),
    Key("everywhere.hosts", "h", "hosts", "Hosts", "other hosts, and the instances of all"),
    Key("everywhere.images", "I", "images", "Images", "the images, and who has them"),
    Key("everywhere.volumes", "V", "volumes", "Volumes", "the volumes, and how full they are"),
    Key("everywhere.theme", "T", "next_theme", "Theme", "the next theme: dark, light, no colour"),
    Key("everywhere.reload", "ctrl+r", "reload", "Reload", "read the configuration again", changes=True),
    Key("everywhere.quit", "q,ctrl+c", "leave", "Quit", "leave; instances go on", show=True),
    Key("table.up", "up,k", "up", "Up", "one row up"),
    Key("table.down", "down,j", "down", "Down", "one row down"),
    Key("table.page_up", "pageup,ctrl+b", "page_up", "Page up", "a page up"),
    Key("table.page_down", "pagedown,ctrl+f", "page_down", "Page down", "a page down"),
    Key("table.first", "home,g", "first", "First", "the first row"),
    Key("table.last", "end,G", "last", "Last", "the last row"),
    Key("table.sort", "o", "sort", "Sort", "sort by the next column"),
    Key("table.reverse", "O", "reverse", "Reverse", "turn the order round"),
    Key("overview.open", "enter", "open('logs')", "Open", "show the instance", show=True),
    Key("overview.filter", "slash", "filter", "Filter", "show what fits: web !state:exited ~wb1", show=True),
    Key(
        "overview.mark",
        "space",
        "mark",
        "Mark",
        "mark it; what follows is done with all marked",
        show=True,
    ),
    Key("overview.mark_all", "ctrl+a", "mark_all", "Mark all", "mark all that are shown, or none"),
    Key("overview.back", "escape", "clear", "Clear", "forget the marks, then the filter"),
    Key("overview.calls", "c", "open('calls')", "Calls", "the instance's system calls"),
    Key("overview.logs", "l", "open('logs')", "Logs", "the instance's logs"),
    Key("overview.several", "L", "several", "Logs of all", "the logs of all marked instances in one"),
    Key("overview.new", "N", "new", "New", "start another instance", show=True, changes=True),
    *_control("overview"),
    Key("tenants.turn", "f", "by_tenant", "By tenant", "a row for each tenant, or each instance"),
    Key("tenants.unfold", "right", "unfold", "Unfold", "show the tenant's instances"),
    Key("tenants.fold", "left", "fold", "Fold", "hide them"),
    Key("instance.back", "escape,backspace", "back", "Back", "back to the overview", show=True),
    Key("instance.next", "right_square_bracket,tab", "next_tab(1)", "Next", "the next tab"),
    Key("instance.previous", "left_square_bracket,shift+tab", "next_tab(-1)", "Previous", "the tab before"),
    *_control("instance"),
    Key("instance.publish", "P", "publish(False)", "Publish", "lead a port of the host to it", changes=True),
    Key("instance.unpublish", "U", "publish(True)", "Unpublish", "lead a port to it no more", changes=True),
    Key("logs.follow", "f", "follow", "Follow", "stay at the newest line, or not", show=True),
    Key("logs.search", "slash", "search", "Search", "find a text", show=True),
    Key("logs.next", "n", "next_match(1)", "Next match", "the next place with it"),
    Key("logs.previous", "N", "next_match(-1)", "Match before", "the place with it before"),
    Key("logs.only", "m", "only", "Matches", "only lines with it, or all"),
    Key("logs.wrap", "w", "wrap", "Wrap", "break long lines, or cut them", show=True),
    Key("logs.times", "i", "times", "Times", "show when lines were written"),
    Key("logs.save", "S", "save", "Save", "write the lines to a file"),
    Key("calls.rule", "enter", "open_rule", "Rule", "show the rule that refused it", show=True),
    Key("calls.refusals", "w", "other_table", "Refusals", "to what was refused, and back", show=True),
    Key("rules.allow", "A", "choose('allow')", "Allow", "allow this call from here on", changes=True),
    Key("rules.deny", "X", "choose('deny')", "Deny", "deny this call from here on", changes=True),
    Key("rules.before", "B", "choose('as-before')", "As before", "let its policy decide again", changes=True),
    Key("processes.threads", "w", "other_table", "Threads", "to its threads, and back", show=True),
    Key("metrics.longer", "plus", "span(1)", "Longer", "a longer time", show=True),
    Key("metrics.shorter", "minus", "span(-1)", "Shorter", "a shorter time", show=True),
    Key("several.back", "escape,backspace", "back", "Back", "back to the overview", show=True),
    Key("start.go", "ctrl+s", "go", "Start", "start it", show=True, changes=True),
    Key("start.back", "escape", "back", "Back", "start none", show=True),
    Key("hosts.open", "enter", "open", "Open", "go to the host, or the instance", show=True),
    *_state_control("hosts"),
    Key("hosts.back", "escape", "back", "Back", "stay where one was", show=True),
    Key("images.open", "enter", "open", "Open", "show all about it", show=True),
    Key("images.load", "l", "bring('load')", "Load", "load an archive", show=True, changes=True),
    Key("images.pull", "p", "bring('pull')", "Pull", "fetch one from a registry", show=True, changes=True),
    Key("images.import", "i", "bring('import')", "Import", "make one of a root file system", changes=True),
    Key("images.give_up", "c", "give_up", "End", "end what is under way", changes=True),
    Key("images.new", "N", "new", "New", "start an instance of it", show=True, changes=True),
    Key("images.remove", "D", "remove", "Remove", "forget the image's name", show=True, changes=True),
    Key("images.prune", "X", "prune", "Prune", "forget all that no instance has", show=True, changes=True),
    Key("images.back", "escape", "back", "Back", "back to where one was", show=True),
    Key("image.back", "escape,backspace", "back", "Back", "back to the images", show=True),
    Key("volumes.create", "n", "create", "Make", "make a volume", show=True, changes=True),
    Key("volumes.remove", "D", "remove", "Remove", "remove it with its files", show=True, changes=True),
    Key("volumes.prune", "X", "prune", "Prune", "remove all that no instance has", show=True, changes=True),
    Key("volumes.back", "escape", "back", "Back", "back to where one was", show=True),
    Key("questions.once", "y", "answer(True,'once')", "Once", "allow this call", show=True, changes=True),
    Key(
        "questions.instance",
        "i",
        "answer(True,'instance')",
        "This run",
        "allow it until the instance ends",
        show=True,
        changes=True,
    ),
    Key(
        "questions.forever",
        "f",
        "answer(True,'forever')",
        "Forever",
        "allow it for ever",
        show=True,
        changes=True,
    ),
    Key(
        "questions.refuse", "n", "answer(False,'once')", "Refuse", "refuse this call", show=True, changes=True
    ),
    Key(
        "questions.never",
        "N",
        "answer(False,'forever')",
        "Never",
        "refuse it for ever",
        show=True,
        changes=True,
    ),
    Key("questions.back", "escape", "back", "Back", "answer later", show=True),
)

# Actions that are not there in read-only mode.
CHANGING = frozenset(key.action.partition("(")[0] for key in KEYS if key.changes)


def bindings(scope: str) -> list[BindingType]:
    """For Textual, each with its id, so that it can be given other keys."""
    return [
        Binding(key.keys, key.action, key.label, show=key.show, id=key.id, tooltip=key.help)
        for key in KEYS
        if key.scope == scope
    ]


def keys_file(environment: Mapping[str, str]) -> Path:
    """Where one's own keys are: `tui-keys.toml` beside the user's configuration."""
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or "/") / ".config"
    return Path(os.fspath(home)) / "kwhost" / "tui-keys.toml"


def load_keymap(path: Path) -> dict[str, str]:
    """The keys of one's own by id, such as `"overview.stop" = "ctrl+s"`; none without a file.

    Raises ConfigError for what is none, and for a key that would mean two things.
    """
    try:
        if not path.exists():
            return {}
        import tomllib  # most have no such file

        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    known = {key.id: key for key in KEYS}
    for name, keys in content.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "docs/tui.md lists them"
            raise ConfigError(f"{path}: there is no key {name!r}; {hint}")
        if not isinstance(keys, str) or not keys:
            raise ConfigError(f'{path}: {name}: write a key such as "ctrl+s", several with commas')
    _check_unique(path, content)
    return content


def _check_unique(path: Path, chosen: Mapping[str, str]) -> None:
    for scopes in _TOGETHER:
        taken: dict[str, str] = {}
        for key in KEYS:
            if key.scope not in scopes:
                continue
            for name in chosen.get(key.id, key.keys).split(","):
                other = taken.setdefault(name.strip(), key.id)
                if other != key.id:
                    text = f"{name.strip()} is both {other} and {key.id}; give one another key"
                    raise ConfigError(f"{path}: {text}")
