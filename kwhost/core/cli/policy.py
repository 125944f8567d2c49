"""`kwhost policy`: check policies, show them, and explain what they decide."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import clean, format_table
from kwhost.core.errors import NotFound, UsageError

if TYPE_CHECKING:
    from kwhost.core.policy.model import Policy

__all__ = ["find_policy", "main"]

_USAGE = """kwhost policy check FILE
       kwhost policy show NAME|FILE.toml [--json]
       kwhost policy explain NAME|FILE.toml SYSCALL [ARG...]
       kwhost policy learn [-o FILE] [RUN OPTIONS] -- COMMAND [ARGUMENT...]"""
_DESCRIPTION = """System call policies: what instances may do.

check     say all that is wrong with a policy file, each with its line
show      list the rules of a policy, with those of its bases, and where each one stands
explain   say which rule decides on a call, and why; ARG: a number, a constant (O_RDWR|O_CREAT), a path
          (/etc/passwd), or an address (10.0.0.1:443, [::1]:80, udp:192.0.2.1:53)
learn     run a program, and write the policy that it needs; kwhost policy learn --help"""
_EPILOG = """examples:
  kwhost policy check web.toml
  kwhost policy show default
  kwhost policy explain strict openat AT_FDCWD /etc/passwd O_RDONLY
  kwhost policy explain web.toml connect 3 10.1.2.3:443
  kwhost policy explain default socket AF_PACKET SOCK_RAW"""
_HEADER = ("RULE", "POLICY", "WHERE")


def find_policy(name: str) -> "Policy":
    """A built-in policy, or that of a file, which has a slash or .toml in its name."""
    from kwhost.core.config.host import read_file  # reading TOML is not needed for --help
    from kwhost.core.policy.library import built_in, read_policy_file

    if "/" not in name and not name.endswith(".toml"):
        return built_in().find(name)
    data = read_file(Path(name))
    if data is None:
        raise NotFound(f"there is no file {name}")
    return read_policy_file(Path(name), data)


def _check(file: str) -> int:
    policy = find_policy(file if "/" in file else f"./{file}")
    show_result(
        f"{file}: no mistakes; with its bases {len(policy.calls)} rules on calls, {len(policy.files)} on "
        f"files, {len(policy.network)} on the network, {len(policy.limits)} limits\n"
    )
    return 0


def _show(name: str, *, as_json: bool) -> int:
    from kwhost.core.policy.show import effective_rules

    policy = find_policy(name)
    rules = list(effective_rules(policy))
    if as_json:
        show_json([{"rule": rule.text, "policy": rule.policy, "where": rule.where} for rule in rules])
    else:
        show_result(format_table(_HEADER, rules, output_width()))
    return 0


def _explain(name: str, words: Sequence[str]) -> int:
    from kwhost.core.policy.explain import explain
    from kwhost.core.policy.model import Layer
    from kwhost.core.policy.wording import parse_call

    policy = find_policy(name)
    lines = explain([Layer(policy.name, policy)], parse_call(words))
    show_result("".join(f"{clean(line)}\n" for line in lines))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Check, show, explain or learn."""
    if arguments[:1] == ["learn"]:
        from kwhost.core.cli import policy_learn

        return policy_learn.main(arguments[1:])
    parser = CommandParser("policy", _USAGE, _DESCRIPTION, _EPILOG)
    parser.add_argument("action", choices=["check", "show", "explain"], help="what to do")
    parser.add_argument("name", metavar="NAME|FILE", help="a policy")
    parser.add_argument("call", nargs="*", metavar="SYSCALL", help="a call and its arguments")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    options = parser.parse_args(arguments)
    if options.json and options.action != "show":
        raise UsageError("only kwhost policy show has --json")
    if options.action == "explain":
        if not options.call:
            raise UsageError("write kwhost policy explain NAME SYSCALL [ARG...]")
        return _explain(options.name, options.call)
    if options.call:
        raise UsageError(f"kwhost policy {options.action} takes one name")
    return _check(options.name) if options.action == "check" else _show(options.name, as_json=options.json)
