"""What is typed to bring an image or to make a volume, read as the command line reads it."""

import os
import shlex
from collections.abc import Collection
from typing import NamedTuple

from kwhost.core.errors import UsageError
from kwhost.core.images.names import parse_name
from kwhost.core.model.ids import tenant_name
from kwhost.core.model.units import parse_bytes
from kwhost.core.model.volume import volume_name

__all__ = ["BRINGING", "NewVolume", "Way", "read_bringing", "read_volume"]


class Way(NamedTuple):
    """How images come: `done` is said afterwards; `values` are the options that have one, `flags` others."""

    title: str
    done: str
    hint: str
    values: Collection[str] = ("--tenant",)
    flags: Collection[str] = ()


BRINGING = {
    "load": Way(
        "An archive, or a directory of an OCI layout", "Loaded",
        "app.tar.gz   or   ./layout --name app:1 --tenant acme", ("--tenant", "--name"),
    ),
    "import": Way("A root file system: a directory or an archive", "Imported", "./rootfs base:12"),
    "pull": Way(
        "An image of a registry", "Pulled", "registry.example/debian:12", flags=("--plain-http",)
    ),
}  # fmt: skip


class NewVolume(NamedTuple):
    """What is to be made; without a size a usual one."""

    tenant: str
    name: str
    size: int | None
    command: str


def _split(
    text: str, values: Collection[str], flags: Collection[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """The words that are no options, and the options, those without a value with "". Raises UsageError."""
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{error} in what is written") from error
    names, options = [], {}
    for word in words:
        option, equals, value = word.partition("=")
        if option in flags and not equals:
            options[option] = ""
        elif option in values:
            options[option] = value if equals else next(words, "")
            if not options[option]:
                raise UsageError(f"{option} needs a value")
        elif word.startswith("-"):
            raise UsageError(_unknown(word, (*values, *flags)))
        else:
            names.append(word)
    if "--tenant" in options:
        tenant_name(options["--tenant"])
    return names, options


def _unknown(word: str, known: Collection[str]) -> str:
    if word.startswith("--creds"):
        return "a password does not belong on a screen: kwhost image login REGISTRY keeps it"
    return f"{word[:40]} is no option here; there are {', '.join(known)}"


def read_bringing(verb: str, text: str) -> tuple[str, ...]:
    """The words of the command, behind `kwhost`. Raises UsageError."""
    way = BRINGING[verb]
    names, options = _split(text, way.values, way.flags)
    if verb == "pull":
        names = [_reference(names)]
    else:
        count = 2 if verb == "import" else 1
        if len(names) != count:
            raise UsageError(f"write {'a directory or an archive' if count == 1 else 'DIR|FILE NAME[:TAG]'}")
        names[0] = os.path.expanduser(names[0])
        if not os.path.exists(names[0]):
            raise UsageError(f"there is no {names[0][:200]} here")
    for name in (*names[1:], *(options[each] for each in ("--name",) if each in options)):
        parse_name(name)
    given = [part for option, value in options.items() for part in (option, value) if part]
    return ("image", verb, *given, *names)


def _reference(names: list[str]) -> str:
    if len(names) != 1:
        raise UsageError("write REGISTRY/NAME[:TAG]")
    name = parse_name(names[0])
    if not name.registry:
        raise UsageError(f"{names[0][:200]!r} names no registry: write REGISTRY/{name.familiar}")
    return names[0]


def read_volume(text: str, usual_tenant: str) -> NewVolume:
    """NAME [--size SIZE] [--tenant T]. Raises UsageError."""
    names, options = _split(text, ("--size", "--tenant"))
    if len(names) != 1:
        raise UsageError("write NAME [--size SIZE] [--tenant T]")
    name, tenant = volume_name(names[0]), options.get("--tenant", usual_tenant)
    size = options.get("--size")
    words = ["kwhost", "volume", "create", "--tenant", tenant, *(["--size", size] if size else []), name]
    return NewVolume(tenant, name, parse_bytes(size) if size else None, shlex.join(words))
