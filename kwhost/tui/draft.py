"""What is written into the form for a new instance, read as the command line and the API read it, and what an
image has to say about its lines. Pure."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kwhost.core.api.definitions import check_definition
from kwhost.core.errors import KwhostError, UsageError
from kwhost.core.images.names import parse_name
from kwhost.core.model.definition import InstanceDefinition, Limits, Restart
from kwhost.core.model.ids import instance_name, tenant_name
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.instance import Engine
from kwhost.core.model.policy import policy_name
from kwhost.core.model.ports import parse_port
from kwhost.core.model.text import clean
from kwhost.core.model.tmpfs import parse_visible, split_visible
from kwhost.core.model.units import parse_bytes

__all__ = ["FIELDS", "Draft", "DraftField", "hints_of", "image_of", "places_of", "read_command", "read_draft"]


class DraftField(NamedTuple):
    """A line of the form. What is left empty has its default, if `read` is never asked about nothing."""

    name: str
    label: str
    hint: str
    read: Callable[[str], Any]
    required: bool = False


class Draft(NamedTuple):
    """What was written: a definition and the command that does the same, or what is wrong, by field; under
    "" stands what is wrong with all of it."""

    definition: InstanceDefinition | None
    command: str
    problems: Mapping[str, str]


def read_command(text: str) -> tuple[str, ...]:
    """A command line as a shell would split it. Raises UsageError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{error} in the command") from error
    if not words:
        raise UsageError("write a program and its arguments")
    return words


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UsageError(f"{text!r} is no whole number")
    return int(text)


def _image(text: str) -> dict[str, str]:
    return {"rootfs": text} if text.startswith("/") else {"image": text}


def _one_of(kind: type[Any]) -> Callable[[str], Any]:
    names = [each.value for each in kind]

    def read(text: str) -> Any:
        if text not in names:
            raise UsageError(f"write one of {', '.join(names)}")
        return kind(text)

    return read


def _words(text: str) -> list[str]:
    """What spaces separate, and commas, but those before an option, which has no colon."""
    return [word for word in re.split(r"[\s,]*\s[\s,]*|,+(?=[^,\s]*:)", text.strip(" ,")) if word]


def _each(read: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(read(word) for word in _words(text))


FIELDS = (
    DraftField("tenant", "tenant", "whose it is", tenant_name, required=True),
    DraftField("name", "name", "its name and host name", instance_name, required=True),
    DraftField("image", "image", "host, an image, or a directory as its root", _image),
    DraftField("command", "command", "python3 -m http.server 8000", read_command),
    DraftField("policy", "policy", "what calls it may make: default, strict, web, ...", policy_name),
    DraftField("engine", "engine", "auto", _one_of(Engine)),
    DraftField("network", "network", "none, tenant, host; the tenant's default", str),
    DraftField("ports", "ports", "8080:80 [IP:]HOST:GUEST[/udp] ...", _each(parse_port)),
    DraftField("volumes", "volumes", "data:/var/lib/data /srv/in:/in:ro tmpfs:/tmp", _each(parse_visible)),
    DraftField("memory", "memory", "256M", parse_bytes),
    DraftField("cpus", "cpus", "1.5", _number),
    DraftField("pids", "pids", "processes and threads", _count),
    DraftField("restart", "restart", "no, on-failure, always", _one_of(Restart)),
)


def read_draft(texts: Mapping[str, str]) -> Draft:
    """By the names of FIELDS."""
    values: dict[str, Any] = {"command": ()}
    problems: dict[str, str] = {}
    for field in FIELDS:
        text = texts.get(field.name, "").strip()
        try:
            if text:
                values[field.name] = field.read(text)
            elif field.required:
                problems[field.name] = "needed"
        except KwhostError as error:
            problems[field.name] = str(error)
    if not texts.get("command", "").strip() and texts.get("image", "").strip() in ("", "host"):
        problems["command"] = "needed"  # another image may say what to run
    if problems:
        return Draft(None, "", problems)
    limits = {name: values.pop(name) for name in ("memory", "cpus", "pids") if name in values}
    root = values.pop("image", {})
    values["volumes"], values["tmpfs"] = split_visible(values.get("volumes", ()))
    definition = InstanceDefinition(**values, **root, limits=Limits(**limits))
    try:
        check_definition(definition)
    except KwhostError as error:
        return Draft(None, "", {"": str(error)})
    return Draft(definition, _command_line(definition, texts), {})


def _command_line(definition: InstanceDefinition, texts: Mapping[str, str]) -> str:
    """What starts the same on a command line."""
    words = ["kwhost", "run", "-d", "--tenant", definition.tenant, "--name", definition.name]
    for name in ("policy", "engine", "network", "memory", "cpus", "pids", "restart"):
        if text := texts.get(name, "").strip():
            words += [f"--{name}", text]
    if definition.rootfs:
        words += ["--rootfs", definition.rootfs]
    elif definition.image != "host":
        words += ["--image", definition.image]
    for option, name in (("-p", "ports"), ("-v", "volumes")):
        for text in _words(texts.get(name, "")):
            words += [option, text]
    return shlex.join([*words, "--", *definition.command] if definition.command else words)


def image_of(text: str, tenant: str, images: Sequence[ListedImage]) -> ListedImage | None:
    """The image that a tenant means by what is written; its own come before those that all share."""
    try:
        name = parse_name(text.strip()).familiar
    except KwhostError:
        return None
    found = (image for image in images if image.name == name and image.tenant in (tenant, None))
    return max(found, key=lambda image: image.tenant is not None, default=None)


def hints_of(image: StoredImage | None) -> dict[str, str]:
    """What stands in the lines while they are empty: what the image does there, or wants."""
    hints = {field.name: field.hint for field in FIELDS}
    if image is None:
        return hints
    settings = image.settings
    if program := settings.program(None, ()):
        hints["command"] = f"the image's: {shlex.join(program)}"
    if settings.ports:
        hints["ports"] = (
            f"the image exposes {' '.join(settings.ports)}: 8080:{settings.ports[0].removesuffix('/tcp')}"
        )
    if settings.volumes:
        hints["volumes"] = f"the image keeps {' '.join(settings.volumes)}: NAME:{settings.volumes[0]}"
    return hints


def places_of(image: StoredImage | None, volumes: Sequence[str]) -> list[str]:
    """What may be written to have one of these volumes where the image wants one, or anywhere. What a line
    would show otherwise is no place that one wants to write."""
    places = [place for place in image.settings.volumes if clean(place) == place] if image else ()
    return [f"{name}:{place}" for name in volumes for place in places or ("/",)]
