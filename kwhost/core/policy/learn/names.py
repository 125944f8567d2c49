"""Names that will be others the next time: random ones, numbered ones, and those of processes.

A path becomes a tuple of components as a pattern has them: wildcards, and backslashes before what is none.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from kwhost.core.policy.learn.observed import Observed
from kwhost.core.policy.learn.places import TEMPORARY, Components, may_open
from kwhost.core.policy.model import Access

__all__ = [
    "ANY",
    "DEEP",
    "Components",
    "escape",
    "has_wildcard",
    "plain_name",
    "split",
    "stable_names",
    "to_text",
]

_NO_TEXT = dict.fromkeys(range(0xDC80, 0xDD00), "?")
ANY = b"*"
DEEP = b"**"
# What makers of names begin them with in temporary directories: mktemp(1), gcc, bash; and Python's tempfile
# wherever it is told to.
_MAKERS = re.compile(rb"^(?:tmp[.-]?|cc|sh-thd[.-]|sh-np[.-])(?P<random>[A-Za-z0-9_]{6,})(?=[.-]|$)")
_PYTHON = re.compile(rb"^tmp(?P<random>[a-z0-9_]{8})(?![a-z0-9_])")
# mkstemp(3) and its kin: so many characters behind a separator.
_TAIL = re.compile(rb"(?:^|(?<=[._-]))(?P<random>[A-Za-z0-9]{6}|[A-Za-z0-9]{8}|[A-Za-z0-9]{10})(?=\.|$)")
_WHOLE = re.compile(rb"^(?P<random>[A-Za-z0-9_]{6}|[A-Za-z0-9_]{8}|[A-Za-z0-9_]{10})$")
_CHUNK = re.compile(rb"(?P<random>[A-Za-z0-9]{6,})")
_DIGIT_INSIDE = re.compile(rb"[A-Za-z].*[0-9].*[A-Za-z]|[0-9].*[A-Za-z].*[0-9]")
_CASES = re.compile(rb"[a-z][A-Z]+[a-z].*[A-Z]")
_MIXED = re.compile(rb"[0-9]|[a-z].*[A-Z]|.[A-Z].*[a-z]")
_NUMBER = re.compile(rb"(?P<random>[0-9]{3,})")
# In /proc what stands behind these, and in the first place, are numbers of processes, threads, descriptors.
_NUMBERED = (b"proc", b"task", b"fd", b"fdinfo", b"map_files")


def split(path: bytes) -> Components:
    """The names of a path; none of "/"."""
    return tuple(path[1:].split(b"/")) if path != b"/" else ()


def to_text(components: Components) -> bytes:
    """The pattern's text."""
    return b"/" + b"/".join(components)


def plain_name(path: bytes) -> Components:
    """A path as a pattern that matches it alone."""
    return tuple(map(escape, split(path)))


def escape(name: bytes) -> bytes:
    """A name as a pattern that matches it alone. Bytes that no text can hold are matched by `?`."""
    escaped = re.sub(rb"([*?\\])", rb"\\\1", name)
    return escaped.decode(errors="surrogateescape").translate(_NO_TEXT).encode()


def has_wildcard(component: bytes) -> bool:
    """Whether a component of a pattern matches more than one name."""
    return re.search(rb"[*?]", re.sub(rb"\\.", b"", component)) is not None


def stable_names(used: Iterable[bytes], observed: Observed) -> Mapping[bytes, Components]:
    """The paths, each with what it may be called the next time. Only what was written, and so may have been
    named by the program, can have a random name; what lies beneath it has it too."""
    stable: dict[bytes, bytes] = {}
    for path in (path for path, access in observed.paths.items() if Access.WRITE in access):
        *above, name = split(path) or (b"",)
        directory = tuple(above)
        temporary = directory in TEMPORARY
        pattern = _temporary_name(path, name, observed) if temporary else _stable_name(name)
        whole = pattern == ANY and not temporary and not may_open(directory, deep=False)
        if pattern != escape(name) and not whole:
            stable[path] = pattern
    return {path: _components(path, stable) for path in used}


def _components(path: bytes, stable: Mapping[bytes, bytes]) -> Components:
    names = split(path)
    if names[:1] == (b"proc",):
        return _in_proc(names)
    if names[:2] == (b"dev", b"pts") and names[2:] and names[2].isdigit():
        return (b"dev", b"pts", ANY)
    found = []
    above = b""
    for name in names:
        above += b"/" + name
        found.append(stable.get(above) or escape(name))
    return tuple(found)


def _in_proc(names: Components) -> Components:
    return names[:1] + tuple(
        ANY if name.isdigit() and before in _NUMBERED else escape(name) for before, name in pairwise(names)
    )


def _temporary_name(path: bytes, name: bytes, observed: Observed) -> bytes:
    """A name in a directory for temporary files: as many characters as makers of names choose at random are
    random where the name was made as they do, or where no word looks like that."""
    match = _PYTHON.match(name) or _MAKERS.match(name)
    if not match and path in observed.new_files:
        match = _WHOLE.match(name)
    for tail in _TAIL.finditer(name):
        behind = tail.start() > 0 and (path in observed.new_files or path in observed.new_directories)
        if not match and (behind or _MIXED.search(tail["random"])):
            match = tail
    return _replace(name, match) if match else _stable_name(name)


def _stable_name(name: bytes) -> bytes:
    """A name as a pattern, with `*` for what looks random in it."""
    match = _PYTHON.match(name)
    match = match or next((chunk for chunk in _CHUNK.finditer(name) if _is_jumble(chunk["random"])), None)
    match = match or _NUMBER.search(name)
    return _replace(name, match) if match else escape(name)


def _is_jumble(text: bytes) -> bool:
    return bool(_DIGIT_INSIDE.search(text) or _CASES.search(text))


def _replace(name: bytes, match: re.Match[bytes]) -> bytes:
    """With `*` in the place of what was found, and of a number behind it."""
    rest = re.sub(rb"[0-9]{3,}", b"\0", name[match.end("random") :])
    return escape(name[: match.start("random")]) + ANY + escape(rest).replace(b"\0", ANY)
