"""Worlds and forwarders for tests of networks, and what happens where the kernel lacks something."""

import os
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import pytest

from kwhost.core.errors import NetworkError
from kwhost.net.forwarder import Forwarder
from tests.net.forwarding import Place, made_place, open_forwarder
from tests.net.world import World, make_world


@cache
def _missing() -> str | None:
    """What this kernel or host lacks for networks of kwhost; errors of kwhost say it."""
    with make_world() as world:
        try:
            failures = world.host.reconcile(world.wishes)
        except NetworkError as error:
            return str(error)
        return str(next(iter(failures.values()))) if failures else None


@pytest.fixture
def bare_world() -> Iterator[World]:
    """Nothing is applied yet."""
    if reason := _missing():
        if "net" in os.environ.get("KWHOST_MUST", ""):
            pytest.fail(f"KWHOST_MUST names net, but: {reason}", pytrace=False)
        pytest.skip(reason)
    with make_world() as world:
        yield world


@pytest.fixture
def world(bare_world: World) -> World:
    """Two tenants with three instances each; none may call anybody outside."""
    bare_world.apply(bare_world.wishes)
    return bare_world


@pytest.fixture
async def forwarder(tmp_path: Path) -> AsyncIterator[Forwarder]:
    """One that serves nothing yet."""
    async with open_forwarder(tmp_path) as forwarder:
        yield forwarder


@pytest.fixture
def place() -> Iterator[Place]:
    """An instance's place, for ports to lead to."""
    with made_place(1) as place:
        yield place


@pytest.fixture
def other() -> Iterator[Place]:
    """Another one."""
    with made_place(2) as place:
        yield place
