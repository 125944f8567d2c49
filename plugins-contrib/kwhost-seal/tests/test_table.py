"""What the policy of a sealed instance lets through, judged by kwhost's own language."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from kwhost.core.policy.destinations import Direction, Protocol
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse, decide
from kwhost.core.policy.library import built_in, read_policy_file
from kwhost.core.policy.model import Access, Action, Layer

from kwhost_seal.configuration import Rule
from kwhost_seal.table import seal_table

READ, WRITE, EXECUTE = Access.READ, Access.WRITE, Access.EXECUTE


def toml(value: object) -> str:
    """A value as an inline table or list has it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(entry) for entry in value) + "]"
    return json.dumps(value)


def layers(**keys: Any) -> list[Layer]:
    """What a sealed instance has: the default policy, and the seal's."""
    text = "\n".join(f"{key} = {toml(value)}" for key, value in seal_table(Rule(**keys)).items())
    sealed = read_policy_file(Path("seal.toml"), text.encode())
    return [Layer("instance", built_in().find("default")), Layer("plugin seal", sealed)]


def allows(call: Call, **keys: Any) -> bool:
    return decide(layers(**keys), call).action is Action.ALLOW


def use(call: str, access: Access, path: str) -> Call:
    return Call(call, (0, 0, 0, 0, 0, 0), paths=(PathUse(path.encode(), access),))


def listening(call: str, port: int, protocol: Protocol = Protocol.TCP) -> Call:
    own = AddressUse(Direction.LISTEN, ip_address("0.0.0.0"), port, protocol)
    return Call(call, (0, 0, 0, 0, 0, 0), addresses=(own,))


@pytest.mark.parametrize("call", ["execve", "execveat"])
def test_no_further_program_runs(call: str) -> None:
    program = use(call, EXECUTE, "/bin/sh")

    assert not allows(program, writable=("/bin/**",))
    assert allows(program, exec=True)


def test_a_program_that_was_written_may_run_where_programs_may() -> None:
    assert allows(use("execve", EXECUTE, "/work/a.out"), exec=True, writable=("/work/**",))


@pytest.mark.parametrize(
    "call",
    [
        listening("bind", 8080),
        listening("bind", 53, Protocol.UDP),
        listening("listen", 8080),
        Call("listen", (3, 8)),
    ],
)
def test_no_further_socket_listens(call: Call) -> None:
    assert not allows(call)
    assert allows(call, listen=True)


def test_what_listens_goes_on_and_what_calls_too() -> None:
    there = AddressUse(Direction.TO, ip_address("192.0.2.1"), 443, Protocol.TCP)

    assert allows(Call("accept4", (3, 0, 0, 0)))
    assert allows(Call("socket", (2, 1, 0)))
    assert allows(Call("connect", (3, 0, 16), addresses=(there,)))
    assert allows(Call("clone", (0, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("call", "path", "allowed"),
    [
        ("openat", "/var/lib/web/new", True),
        ("openat", "/var/lib/web", True),
        ("unlink", "/var/lib/web/a/b", True),
        ("openat", "/tmp/cache-1", True),
        ("openat", "/tmp/other", False),
        ("openat", "/var/lib/webs", False),
        ("openat", "/etc/passwd", False),
        ("mkdir", "/var/lib/other", False),
        ("chmod", "/usr/bin/web", False),
        ("truncate", "/var/log/web", False),
        ("openat", "/dev/null", True),
        ("openat", "/dev/sda", False),
    ],
)
def test_only_named_paths_are_written(call: str, path: str, allowed: bool) -> None:
    writable = ("/var/lib/web/**", "/tmp/cache-*")

    assert allows(use(call, WRITE, path), writable=writable) is allowed


def test_everything_is_still_read() -> None:
    assert allows(use("openat", READ, "/etc/passwd"))
    assert allows(use("openat", READ, "/var/lib/web/data"), writable=("/var/lib/**",))


def test_all_may_stay_writable() -> None:
    assert allows(use("openat", WRITE, "/etc/passwd"), writable=("/**",))
    assert "files" not in seal_table(Rule(writable=("/**",)))


def test_one_device_may_be_named_that_is_writable_anyway() -> None:
    assert allows(use("openat", WRITE, "/dev/null"), writable=("/dev/null", "/dev/**"))


def test_a_seal_gives_nothing_that_the_instance_has_not() -> None:
    assert not allows(Call("mount", (0,) * 5), exec=True, listen=True, writable=("/**",))
