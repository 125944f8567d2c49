"""Worlds for tests of networks, and what happens where the kernel lacks something."""

import os
from collections.abc import Iterator
from functools import cache

import pytest

from kwhost.core.errors import NetworkError
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
