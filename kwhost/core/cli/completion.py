"""`kwhost completion`: scripts that complete commands, their options and instances' names in a shell."""

import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO

from kwhost.core.cli.commands import COMMANDS, Command
from kwhost.core.cli.connection import connect
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import show_result
from kwhost.core.errors import KwhostError

__all__ = ["completion_script", "main", "options_of"]

_USAGE = "kwhost completion bash | zsh | fish"
_DESCRIPTION = (
    "Print a script for your shell, with which the tab key completes commands, options and instances."
)
_EPILOG = """examples:
  source <(kwhost completion bash)
  source <(kwhost completion zsh)
  kwhost completion fish > ~/.config/fish/completions/kwhost.fish"""

_GLOBAL = ("--debug", "--host", "--help", "--version")
_OPTION = re.compile(r"^  (?:-\w(?: [^ ,]+)?, )?(--[a-z][a-z-]*)", re.MULTILINE)
# What follows these commands is an instance's name.
_ON_INSTANCES = (
    *(
        "attach",
        "cp",
        "exec",
        "inspect",
        "kill",
        "logs",
        "pause",
        "publish",
        "restart",
        "resume",
        "rm",
        "start",
        "stats",
    ),
    *("stop", "top", "wait"),
)

_BASH = """\
_kwhost() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command= options= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        --host) i=$((i + 1)) ;;
        -*) ;;
        *) command=${{COMP_WORDS[i]}}; break ;;
        esac
    done
    case $command in
    '') options='{commands} {options}' ;;
{cases}
    esac
    if [[ $command && $word != -* ]]; then
        case $command in
        {instances}) options=$(kwhost completion names 2>/dev/null) ;;
        *) options= ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$options" -- "$word"))
}}
complete -o default -F _kwhost kwhost
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def options_of(command: Command) -> list[str]:
    """The long options of a command, as its own help names them."""
    text = StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        getattr(import_module(f"kwhost.core.cli.{command.module}"), command.function)(["--help"])
    return sorted(set(_OPTION.findall(text.getvalue())))


def _bash(options: Mapping[str, Sequence[str]]) -> str:
    return _BASH.format(
        commands=" ".join(options),
        options=" ".join(_GLOBAL),
        cases="\n".join(f"    {name}) options='{' '.join(each)}' ;;" for name, each in options.items()),
        instances=" | ".join(_ON_INSTANCES),
    )


def _fish(options: Mapping[str, Sequence[str]]) -> str:
    lines = ["complete -c kwhost -n __fish_use_subcommand -f"]
    for name, each in options.items():
        summary = COMMANDS[name].summary.replace("'", "\\'")
        lines.append(f"complete -c kwhost -n __fish_use_subcommand -f -a {name} -d '{summary}'")
        seen = f"complete -c kwhost -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{seen} -l {option.removeprefix('--')}" for option in each]
        if name in _ON_INSTANCES:
            lines.append(f"{seen} -a '(kwhost completion names 2>/dev/null)'")
    return "\n".join(lines) + "\n"


def completion_script(shell: str) -> str:
    """The script for a shell."""
    options = {name: options_of(command) for name, command in COMMANDS.items()}
    match shell:
        case "fish":
            return _fish(options)
        case "zsh":
            return _ZSH + _bash(options)
        case _:
            return _bash(options)


def _names() -> str:
    """What the scripts ask for: names, and with their tenants' where one alone would be ambiguous."""
    instances = connect(None).request("GET", "/v1/instances", {"all": True})
    plain = [each["name"] for each in instances]
    return "".join(
        f"{each['name'] if plain.count(each['name']) == 1 else each['tenant'] + '/' + each['name']}\n"
        for each in instances
    )


def main(arguments: Sequence[str]) -> int:
    """Print it."""
    parser = CommandParser("completion", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "names"), metavar="SHELL")
    shell = parser.parse_args(arguments).shell
    if shell == "names":
        with suppress(KwhostError):  # a shell that completes shows no errors
            show_result(_names())
        return 0
    show_result(completion_script(shell))
    return 0
