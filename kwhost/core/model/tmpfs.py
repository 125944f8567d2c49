"""Files in memory that an instance has somewhere, `--tmpfs DST[:OPTION,...]`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kwhost.core.errors import UsageError
from kwhost.core.model.places import place_in_instance
from kwhost.core.model.secrets import SECRETS_PLACE
from kwhost.core.model.units import format_bytes, parse_bytes
from kwhost.core.model.volume import Volume, parse_volume

__all__ = [
    "Tmpfs",
    "Visible",
    "by_place",
    "check_tmpfs",
    "parse_tmpfs",
    "parse_visible",
    "sized",
    "split_visible",
]

# What stands for a source where one is written before a place, as in a list of volumes.
_PREFIX = "tmpfs:"

_DEFAULT_SIZE = 64 << 20
_SIZE_LEAST = 4096  # a page; 0 would be no bound
_SIZE_MOST = 1 << 50
_MODE_MOST = 0o7777
_ID_MOST = 0xFFFF_FFFE
_OCTAL = r"[0-7]{1,5}"
# They hold always, and are written by habit.
_HOLDS = ("rw", "nosuid", "nodev", "noexec")
_OPTIONS = "size=64M, mode=1777, uid=0, gid=0 and exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tmpfs:
    """Files in memory at `target`, at most `size` bytes of them (None: 64 MiB, or all the memory that the
    instance may use, where that is less). `mode`, `uid` and `gid` are those of the directory, in the
    instance's own numbers. Nothing in it is executed, unless `executable`."""

    target: str
    size: int | None = None
    mode: int = 0o1777
    uid: int = 0
    gid: int = 0
    executable: bool = False


# What an instance sees besides its image.
Visible = Volume | Tmpfs


def parse_visible(text: str) -> Visible:
    """Read what a list of volumes has: SRC:DST[:ro], or tmpfs:DST[:OPTION,...]. Raises UsageError."""
    return parse_tmpfs(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else parse_volume(text)


def split_visible(every: Iterable[Visible]) -> tuple[tuple[Volume, ...], tuple[Tmpfs, ...]]:
    """Each kind by itself, in the same order."""
    given = tuple(every)
    volumes = tuple(each for each in given if isinstance(each, Volume))
    return volumes, tuple(each for each in given if isinstance(each, Tmpfs))


def by_place(
    volumes: Iterable[Volume], tmpfs: Iterable[Tmpfs], *, has_secrets: bool = False
) -> list[Visible]:
    """All of them: what is beneath something else comes after it. Raises UsageError for two at one place, and
    for one where the instance's secrets are."""
    every: list[Visible] = [*volumes, *tmpfs]
    every.sort(key=lambda each: each.target)
    for one, other in pairwise(every):
        if one.target == other.target:
            raise UsageError(f"two volumes have the same place in the instance, {one.target}")
    for each in every if has_secrets else ():
        if f"{each.target}/".startswith(f"{SECRETS_PLACE}/"):
            raise UsageError(f"nothing else can be at {each.target}: the instance's secrets are there")
    return every


def parse_tmpfs(text: str) -> Tmpfs:
    """Read DST or DST:OPTION,... Raises UsageError."""
    target, _, options = text.partition(":")
    tmpfs = Tmpfs(target=place_in_instance(target, "the place of a tmpfs"))
    for option in options.split(",") if options else ():
        tmpfs = _with_option(tmpfs, option)
    check_tmpfs(tmpfs, None)
    return tmpfs


def _with_option(tmpfs: Tmpfs, option: str) -> Tmpfs:
    name, equals, value = option.partition("=")
    if name == "size" and value:
        return replace(tmpfs, size=parse_bytes(value))
    if name == "mode" and re.fullmatch(_OCTAL, value):
        return replace(tmpfs, mode=int(value, 8))
    if name in ("uid", "gid") and value.isascii() and value.isdecimal() and len(value) <= 10:
        number = int(value)
        return replace(tmpfs, uid=number) if name == "uid" else replace(tmpfs, gid=number)
    if name == "exec" and not equals:
        return replace(tmpfs, executable=True)
    if option not in _HOLDS:
        raise UsageError(f"a tmpfs has no option {option[:100]!r}: there are {_OPTIONS}")
    return tmpfs


def check_tmpfs(tmpfs: Tmpfs, memory: int | None) -> None:
    """Raise UsageError unless it can be had by an instance with so much memory (None: no limit)."""
    place = place_in_instance(tmpfs.target, "the place of a tmpfs")
    if place != tmpfs.target:
        raise UsageError(f"the place of a tmpfs is to be written as {place}")
    if tmpfs.size is not None and not _SIZE_LEAST <= tmpfs.size <= _SIZE_MOST:
        raise UsageError(f"the tmpfs at {tmpfs.target} must have a size from 4k to 1P, not {tmpfs.size}")
    if tmpfs.size is not None and memory is not None and tmpfs.size > memory:
        raise UsageError(
            f"the tmpfs at {tmpfs.target} is to hold {format_bytes(tmpfs.size)}, and the instance may use "
            f"{format_bytes(memory)} of memory, which that counts as"
        )
    if not 0 <= tmpfs.mode <= _MODE_MOST:
        raise UsageError(f"the tmpfs at {tmpfs.target} cannot have the mode {tmpfs.mode:o}")
    if not (0 <= tmpfs.uid <= _ID_MOST and 0 <= tmpfs.gid <= _ID_MOST):
        raise UsageError(f"the tmpfs at {tmpfs.target} cannot be {tmpfs.uid}:{tmpfs.gid}'s")


def sized(every: Sequence[Tmpfs], memory: int | None) -> tuple[Tmpfs, ...]:
    """Each with its size decided, in an instance with so much memory. Raises UsageError."""
    for tmpfs in every:
        check_tmpfs(tmpfs, memory)
    usual = _DEFAULT_SIZE if memory is None else min(memory, _DEFAULT_SIZE)
    return tuple(replace(tmpfs, size=tmpfs.size or usual) for tmpfs in every)
