"""The form for a new instance: what it makes of what is written into it."""

import json
import shlex
from typing import Any

import msgspec
import pytest

from kwhost.core.api.bodies import decode_body
from kwhost.core.api.types import NewInstance
from kwhost.core.cli.run import parse_run
from kwhost.core.cli.run_hosted import define
from kwhost.core.model.image import ImageSettings, StoredImage
from kwhost.tui.draft import FIELDS, hints_of, image_of, places_of, read_draft

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


@pytest.mark.parametrize("image", ["", "host"])
def test_what_is_missing_is_said(image: str) -> None:
    assert set(read_draft({"image": image}).problems) == {"tenant", "name", "command"}


def test_an_image_may_say_what_is_run() -> None:
    draft = read_draft({"tenant": "acme", "name": "shop", "image": "shop:1"})

    assert draft.command == "kwhost run -d --tenant acme --name shop --image shop:1"


def image(name: str, tenant: str | None, **settings: Any) -> StoredImage:
    return StoredImage(
        name=name, digest="sha256:0", tenant=tenant, size=1, layers=(), added=0.0,
        settings=ImageSettings(**settings),
    )  # fmt: skip


def test_a_tenants_own_image_comes_before_the_shared_one() -> None:
    names = (("a:latest", None), ("a:latest", "acme"), ("b:1", "rival"))
    images = shared, own, _ = tuple(image(name, tenant).listed() for name, tenant in names)

    assert image_of("a", "acme", images) is own
    assert image_of(" a:latest ", "rival", images) is shared
    assert image_of("b:1", "acme", images) is None
    assert image_of("/srv/root", "acme", images) is None


def test_what_an_image_says_stands_in_the_lines() -> None:
    told = hints_of(
        image("a:1", None, entrypoint=("/srv/app",), ports=("80/tcp", "53/udp"), volumes=("/data",))
    )

    assert told["command"] == "the image's: /srv/app"
    assert told["ports"] == "the image exposes 80/tcp 53/udp: 8080:80"
    assert told["volumes"] == "the image keeps /data: NAME:/data"
    assert told["memory"] == hints_of(None)["memory"]


def test_volumes_are_offered_where_the_image_keeps_something() -> None:
    assert places_of(image("a:1", None, volumes=("/data",)), ["x", "y"]) == ["x:/data", "y:/data"]
    assert places_of(None, ["x"]) == ["x:/"]
    hostile = image("a:1", None, volumes=("/a\x1b[2J", "/b"))
    assert places_of(hostile, ["x"]) == ["x:/b"]
