"""Policies that instances are measured with."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kwhost.core.engines.base import PolicyFds
from kwhost.core.engines.launch import ceiling_file, policy_file
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.library import read_policy_file
from kwhost.core.policy.model import Layer
from kwhost.core.policy.prebuilt import prebuilt_ceiling, prebuilt_table

__all__ = ["PATH_RULES", "default_policy", "given_policy"]


def _path_rules() -> str:
    """As people write them: directories, files, patterns."""
    rules = [("/**", "rx"), ("/dev/**", "rw"), ("/run/**", "rw"), ("/mnt/**", "rx")]
    rules += [(f"/srv/data/{number}/**", "rw") for number in range(96)]
    rules += [(f"/etc/service/{number}.conf", "r") for number in range(60)]
    rules += [(f"/home/user{number}/*/cache/**", "rw") for number in range(40)]
    lines = [f'    {{ path = "{path}", access = "{access}" }},' for path, access in rules]
    return "\n".join(['base = "default"', "files = [", *lines, "]"])


# A policy with 200 rules about paths.
PATH_RULES = _path_rules()


@contextlib.contextmanager
def given_policy(text: str) -> Iterator[PolicyFds]:
    """A policy as its file has it, compiled once."""
    policy = read_policy_file(Path("benchmark.toml"), text.encode())
    table = policy_file(compile_layers([Layer("instance", policy)]).data)
    try:
        yield PolicyFds(table)
    finally:
        os.close(table)


@contextlib.contextmanager
def default_policy() -> Iterator[PolicyFds]:
    """The one that instances have by default, with the ceiling; new memfds, as each start has."""
    policy = PolicyFds(policy_file(prebuilt_table()), ceiling_file(prebuilt_ceiling()))
    try:
        yield policy
    finally:
        os.close(policy.table)
        os.close(policy.ceiling)
