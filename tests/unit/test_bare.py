"""What is left where namespaces are refused: whether it is enough, and what is told of it."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines import bare
from kwhost.core.engines.bare import (
    Abilities,
    bare_protections,
    check_bare,
    jail_protections,
    probe_abilities,
)
from kwhost.core.errors import HostError
from kwhost.core.model.protections import Protection

ROOTS = 0xA804_25FB  # what container engines give by default
FULL = Abilities(jail="refused", landlock=6, notify="", children="", capabilities=ROOTS)


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.mark.parametrize("uid", [0, 1000])
def test_what_containers_and_users_have_is_enough(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    as_user(monkeypatch, uid)

    check_bare(FULL)


@pytest.mark.parametrize(
    ("uid", "lacking", "named"),
    [
        (0, {"capabilities": ROOTS & ~(1 << 7)}, "root needs CAP_SETUID"),
        (0, {"capabilities": 0}, "CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID"),
        (1000, {"landlock": 0}, "an ordinary user's programs need Landlock"),
        (0, {"notify": "device or resource busy"}, "a seccomp filter with a broker"),
        (1000, {"children": "no such file"}, "a keeper"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, uid: int, lacking: dict[str, Any], named: str
) -> None:
    as_user(monkeypatch, uid)

    with pytest.raises(HostError, match=r"without namespaces \(refused\)") as raised:
        check_bare(FULL._replace(**lacking))

    assert named in str(raised.value)


def test_an_old_landlock_leaves_a_users_processes_open_to_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 1000)
    old = FULL._replace(landlock=5)

    assert Protection.LANDLOCK in bare_protections(old, lacking_cgroup="").weaker
    assert Protection.LANDLOCK not in bare_protections(FULL, lacking_cgroup="").weaker

    as_user(monkeypatch, 0)
    assert Protection.LANDLOCK not in bare_protections(old, lacking_cgroup="").weaker


def test_missing_groups_and_landlock_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 0)

    missing = bare_protections(FULL._replace(landlock=0), lacking_cgroup="not mounted").missing

    assert missing[Protection.CGROUP] == "not mounted"
    assert Protection.LANDLOCK in missing


def test_tracing_that_is_restricted_is_told_to_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "_read", lambda path: "1" if path.endswith("ptrace_scope") else "")
    as_user(monkeypatch, 1000)

    assert "kernel.yama.ptrace_scope" in bare_protections(FULL, lacking_cgroup="").weaker[Protection.BROKER]


def test_where_nobody_may_trace_the_broker_is_told_to_be_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = {"now": "3"}
    monkeypatch.setattr(bare, "_read", lambda path: scope["now"] if path.endswith("ptrace_scope") else "")

    assert "kernel.yama.ptrace_scope" in jail_protections(FULL, lacking_cgroup="").weaker[Protection.BROKER]
    scope["now"] = "2"
    assert not jail_protections(FULL, lacking_cgroup="").weaker


def test_an_old_landlock_leaves_files_open_to_be_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 0)

    old = bare_protections(FULL._replace(landlock=2), lacking_cgroup="")
    assert "empty files that everybody may write" in old.weaker[Protection.LANDLOCK]
    assert Protection.LANDLOCK not in bare_protections(FULL._replace(landlock=3), lacking_cgroup="").weaker


def probe(monkeypatch: pytest.MonkeyPatch, directory: Path, error: int) -> Abilities:
    """What is made of a host where namespaces fail with this errno."""
    prober = directory / "probe"
    facts = f"jail making namespaces: no\nerror {error}\nlandlock 6\nnotify ok\nchildren ok\ncapabilities ff"
    prober.write_text(f"#!/bin/sh\necho '{facts}'\n")
    prober.chmod(0o700)
    monkeypatch.setattr(bare, "monitor_path", lambda: prober)
    probe_abilities.cache_clear()
    try:
        return probe_abilities()
    finally:
        probe_abilities.cache_clear()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL])
def test_a_refusal_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int) -> None:
    assert probe(monkeypatch, tmp_path, error).jail == "making namespaces: no"


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENOSPC])
def test_what_fails_for_a_moment_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int
) -> None:
    monkeypatch.setattr(bare, "_read", lambda _: "100")

    with pytest.raises(HostError, match="making namespaces: no; try again"):
        probe(monkeypatch, tmp_path, error)


def test_a_limit_of_none_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bare, "_read", lambda path: "0" if path.endswith("max_user_namespaces") else "100")

    assert probe(monkeypatch, tmp_path, errno.ENOSPC).jail


def test_an_ordinary_user_needs_a_landlock_that_knows_truncating(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 1000)

    check_bare(FULL._replace(landlock=3))
    with pytest.raises(HostError, match="need Landlock of version 3"):
        check_bare(FULL._replace(landlock=2))

    as_user(monkeypatch, 0)
    check_bare(FULL._replace(landlock=2))
