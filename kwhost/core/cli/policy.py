"""`kwhost policy`: check policies, show and explain them, learn them, and answer what they ask."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kwhost.core.cli.connection import add_host_option, connect, instance_path
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import clean, format_table
from kwhost.core.errors import ApiError, NotFound, PermissionDenied, UsageError

if TYPE_CHECKING:
    from kwhost.core.policy.model import Policy

__all__ = ["main"]

_USAGE = """kwhost policy check FILE
       kwhost policy show NAME|FILE.toml|INSTANCE [--json]
       kwhost policy explain NAME|FILE.toml|INSTANCE SYSCALL [ARG...]
       kwhost policy learn [-o FILE] [RUN OPTIONS] -- COMMAND [ARGUMENT...]
       kwhost policy set INSTANCE [SYSCALL allow|deny|as-before]
       kwhost policy questions [--json]
       kwhost policy answer QUESTION allow|refuse [--scope once|instance|forever]
       kwhost policy answers [--json]
       kwhost policy forget ANSWER..."""
_DESCRIPTION = """System call policies: what instances may do.

check      say all that is wrong with a policy file, each with its line
show       list the rules of a policy, or of all layers of an instance, with how often each decided
explain    say which rule decides on a call, and why; ARG: a number, a constant (O_RDWR|O_CREAT), a path
           (/etc/passwd), or an address (10.0.0.1:443, [::1]:80, udp:192.0.2.1:53)
learn      run a program, and write the policy that it needs; kwhost policy learn --help
set        allow or deny an instance a call from here on; kwhost policy set --help
questions  list the calls that wait for an answer, where a rule asks
answer     allow or refuse one, once, for the instance's run, or for ever
answers    list the answers that are given again; forget removes some

NAME is a built-in policy, or one of the daemon's; TENANT/NAME is always an instance."""
_EPILOG = """examples:
  kwhost policy check web.toml
  kwhost policy show default
  kwhost policy show acme/web-1
  kwhost policy explain strict openat AT_FDCWD /etc/passwd O_RDONLY
  kwhost policy explain web.toml connect 3 10.1.2.3:443
  kwhost policy answer 7 allow --scope forever"""
_HEADER = ("RULE", "POLICY", "WHERE")
_COUNTED = ("HITS", "DENIED", *_HEADER)
_OWN = ("check", "show", "explain")
# In modules of their own.
_OTHERS = ("questions", "answer", "answers", "forget")


def _parser() -> CommandParser:
    parser = CommandParser("policy", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "action", choices=[*_OWN, "learn", "set", *_OTHERS], metavar="ACTION", help="what to do"
    )
    parser.add_argument("name", metavar="NAME|FILE|INSTANCE", help="a policy, or an instance")
    parser.add_argument("call", nargs="*", metavar="SYSCALL", help="a call and its arguments")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_host_option(parser)
    return parser


def _local_policy(name: str) -> "Policy | None":
    """A built-in policy, or that of a file, which has .toml or a dot first in its name; None for others."""
    from kwhost.core.model.policy import BUILT_IN_POLICIES
    from kwhost.core.policy.tables import find_policy  # reading TOML is not needed for --help

    local = name in BUILT_IN_POLICIES or name.endswith(".toml") or name.startswith((".", "/"))
    return find_policy(name) if local else None


def _check(file: str) -> int:
    from kwhost.core.policy.tables import find_policy  # as above

    policy = find_policy(file if "/" in file else f"./{file}")
    show_result(
        f"{file}: no mistakes; with its bases {len(policy.calls)} rules on calls, {len(policy.files)} on "
        f"files, {len(policy.network)} on the network, {len(policy.limits)} limits\n"
    )
    return 0


def _ask_daemon(name: str, host: str | None, operation: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """About one of the daemon's policies, or else an instance. Raises NotFound."""
    from urllib.parse import quote

    client = connect(host)
    found: dict[str, Any]
    if "/" not in name:
        try:
            found = client.request("GET", f"/v1/policies/{quote(name, safe='')}{operation}", query)
        except (NotFound, PermissionDenied):  # tenants' users see instances only
            pass
        else:
            return found
    try:
        found = client.request("GET", f"{instance_path(name, 'policy')}{operation}", query)
    except NotFound as error:
        raise NotFound(f"there is no policy and no instance {name}") from error
    return found


def _remote(name: str, host: str | None, operation: str = "", **query: str) -> dict[str, Any]:
    from kwhost.core.policy.library import built_in

    try:
        return _ask_daemon(name, host, operation, query)
    except ApiError as error:
        names = ", ".join(built_in().policies)
        raise NotFound(f"{name} is none of the policies {names}, and no daemon answers: {error}") from error


def _show(name: str, host: str | None, *, as_json: bool) -> int:
    from kwhost.core.policy.show import effective_rules

    policy = _local_policy(name)
    if policy is None:
        view = _remote(name, host)
        show_json(view) if as_json else show_result(_format_view(view))
        return 0
    rules = [(rule.text, rule.policy, rule.where) for rule in effective_rules(policy)]
    if as_json:
        show_json([{"rule": text, "policy": of, "where": where} for text, of, where in rules])
    else:
        show_result(format_table(_HEADER, rules, output_width()))
    return 0


def _format_view(view: dict[str, Any]) -> str:
    """Layer by layer; of an instance with how often each rule decided."""
    parts = []
    for layer in view["layers"]:
        counted = any(rule["hits"] is not None for rule in layer["rules"])
        rows = [
            (
                *((str(rule["hits"]), str(rule["denied"])) if counted else ()),
                rule["text"],
                rule["policy"],
                rule["where"],
            )
            for rule in layer["rules"]
        ]
        table = format_table(_COUNTED if counted else _HEADER, rows, output_width())
        parts.append(f"layer {clean(layer['name'])}, policy {clean(layer['policy'])}:\n{table}")
    return "\n".join(parts)


def _explain(name: str, words: Sequence[str], host: str | None) -> int:
    policy = _local_policy(name)
    if policy is None:
        import shlex

        lines = _remote(name, host, "/explain", call=shlex.join(words))["lines"]
    else:
        from kwhost.core.policy.explain import explain
        from kwhost.core.policy.model import Layer
        from kwhost.core.policy.wording import parse_call

        lines = explain([Layer(policy.name, policy)], parse_call(words))
    show_result("".join(f"{clean(line)}\n" for line in lines))
    return 0


def _elsewhere(arguments: Sequence[str]) -> Callable[[Sequence[str]], int] | None:
    """What does the actions that have modules of their own."""
    action = arguments[0] if arguments else ""
    if action == "learn":
        return _main_of("policy_learn")
    if action == "set":
        return _main_of("policy_set")
    return _main_of("policy_questions") if action in _OTHERS else None


def _main_of(module: str) -> Callable[[Sequence[str]], int]:
    main: Callable[[Sequence[str]], int] = import_module(f"kwhost.core.cli.{module}").main
    return main


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says."""
    if other := _elsewhere(arguments):
        return other(arguments[1:] if arguments[0] == "learn" else arguments)
    options = _parser().parse_args(arguments)
    if options.json and options.action != "show":
        raise UsageError("only show, questions and answers have --json")
    if options.action == "explain":
        if not options.call:
            raise UsageError("write kwhost policy explain NAME SYSCALL [ARG...]")
        return _explain(options.name, options.call, options.host)
    if options.call:
        raise UsageError(f"kwhost policy {options.action} takes one name")
    if options.action == "check":
        return _check(options.name)
    return _show(options.name, options.host, as_json=options.json)
