"""`kwhost policy questions`, `answer`, `answers`, `forget`: what rules ask, and what is answered."""

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kwhost.core.cli.connection import add_host_option, connect
from kwhost.core.cli.each import for_each
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import clean, format_table
from kwhost.core.errors import UsageError
from kwhost.core.model.decisions import Scope

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["main"]

_USAGE = """kwhost policy questions [--json]
       kwhost policy answer QUESTION allow|refuse [--scope once|instance|forever]
       kwhost policy answers [--json]
       kwhost policy forget ANSWER..."""
_DESCRIPTION = """Calls that wait for an answer, because a rule of a policy asks. Only operators answer.

An answer for an instance or for ever is given again to the same question: about the same rule, call and path
or address (and what a file is opened for), or without these the same numbers among the arguments."""
_EPILOG = """examples:
  kwhost policy questions
  kwhost policy answer 7 allow
  kwhost policy answer 7 refuse --scope forever
  kwhost policy answers
  kwhost policy forget 3"""
_QUESTIONS = ("QUESTION", "INSTANCE", "LEFT", "CALL", "RULE")
_ANSWERS = ("ANSWER", "INSTANCE", "SCOPE", "GIVEN", "CALL", "RULE", "BY")


def _parser() -> CommandParser:
    parser = CommandParser("policy", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=["questions", "answer", "answers", "forget"], metavar="ACTION")
    parser.add_argument("names", nargs="*", metavar="QUESTION|ANSWER", help="as the lists number them")
    scopes = [scope.value for scope in Scope]
    parser.add_argument("--scope", choices=scopes, default="once", help="for how long it is given (once)")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    return parser


def _rule(of: dict[str, Any]) -> str:
    rule = of["rule"]
    return clean(f"{rule['text']} ({rule['layer']})")


def _question_row(question: dict[str, Any]) -> tuple[str, ...]:
    from kwhost.core.policy.shown_calls import show_call  # brings cffi

    call = question["call"]
    shown = show_call(call["name"], call["arguments"], call["object"])
    left = max(0, question["deadline"] - time.time())
    name = f"{question['tenant']}/{question['name']}"
    return question["id"], name, f"{left:.0f} s", clean(shown), _rule(question)


def _answer_row(answer: dict[str, Any]) -> tuple[str, ...]:
    from kwhost.core.policy.shown_calls import show_opening  # brings cffi

    numbers = answer["arguments"]
    if answer["object"]:
        words = [answer["object"], *map(show_opening, numbers)]
    else:
        words = [f"{number:#x}" for number in numbers]
    return (
        str(answer["number"]),
        f"{answer['tenant']}/{answer['name']}",
        Scope.INSTANCE.value if answer["instance"] else Scope.FOREVER.value,
        "allow" if answer["allow"] else "refuse",
        clean(" ".join([answer["call"], *words])),
        _rule(answer),
        clean(answer["by"]),
    )


def _list(client: "Client", options: Namespace) -> int:
    if options.names:
        raise UsageError(f"kwhost policy {options.action} takes no names")
    found = client.request("GET", f"/v1/{options.action}")
    if options.json:
        show_json(found)
    elif options.action == "questions":
        show_result(format_table(_QUESTIONS, map(_question_row, found), output_width()))
    else:
        show_result(format_table(_ANSWERS, map(_answer_row, found), output_width()))
    return 0


def _answer(client: "Client", options: Namespace) -> int:
    if len(options.names) != 2 or options.names[1] not in ("allow", "refuse"):
        raise UsageError("write kwhost policy answer QUESTION allow, or refuse")
    question, word = options.names
    body = {"allow": word == "allow", "scope": options.scope}
    client.request("POST", f"/v1/questions/{quote(question, safe='')}/answer", body=body)
    return 0


def _forget(client: "Client", options: Namespace) -> int:
    if not options.names:
        raise UsageError("write kwhost policy forget ANSWER...; kwhost policy answers lists them")
    return for_each(
        options.names, lambda name: client.request("DELETE", f"/v1/answers/{quote(name, safe='')}")
    )


def main(arguments: Sequence[str]) -> int:
    """List, answer or forget."""
    options = _parser().parse_args(arguments)
    if options.json and options.action not in ("questions", "answers"):
        raise UsageError(f"kwhost policy {options.action} has no --json")
    if options.scope != "once" and options.action != "answer":
        raise UsageError("--scope is for kwhost policy answer")
    client = connect(options.host)
    match options.action:
        case "answer":
            return _answer(client, options)
        case "forget":
            return _forget(client, options)
        case _:
            return _list(client, options)
