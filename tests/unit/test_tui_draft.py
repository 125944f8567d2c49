"""The form for a new instance: what it makes of what is written into it."""

import json
import shlex

import msgspec
import pytest

from kwhost.core.api.bodies import decode_body
from kwhost.core.api.types import NewInstance
from kwhost.core.cli.run import parse_run
from kwhost.core.cli.run_hosted import define
from kwhost.tui.draft import FIELDS, read_draft

FILLED = {
    "tenant": "acme",
    "name": "shop",
    "image": "/srv/root",
    "command": "sh -c 'sleep 60'",
    "policy": "strict",
    "engine": "direct",
    "network": "tenant",
    "ports": "8080:80, 127.0.0.2:53:53/udp",
    "volumes": "/srv/data:/data:ro,/srv/x:/x, tmpfs:/tmp:size=1M,mode=700",
    "memory": "256M",
    "cpus": "1.5",
    "pids": "20",
    "restart": "always",
}


def test_every_field_has_an_example_here() -> None:
    assert {field.name for field in FIELDS} == set(FILLED)


@pytest.mark.parametrize("given", [FILLED, {name: FILLED[name] for name in ("tenant", "name", "command")}])
def test_the_command_shown_makes_the_same_instance(given: dict[str, str]) -> None:
    draft = read_draft(given)
    assert draft.problems == {}

    sent = decode_body(json.dumps(msgspec.to_builtins(draft.definition)).encode(), NewInstance)
    by_command = define(*parse_run(shlex.split(draft.command)[2:]))
    assert decode_body(json.dumps(by_command).encode(), NewInstance) == sent


@pytest.mark.parametrize("name", sorted(set(FILLED) - {"image", "network"}))
def test_what_is_wrong_is_said_of_its_field(name: str) -> None:
    draft = read_draft(FILLED | {name: "'"})

    assert draft.definition is None
    assert list(draft.problems) == [name]


def test_what_is_missing_is_said() -> None:
    assert set(read_draft({}).problems) == {"tenant", "name", "command"}
