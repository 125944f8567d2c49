"""The kinds of kwhost's own values: sizes, times, paths, addresses inside an instance."""

import re

from kwhost.core.config.kinds import ListOf, Quantity, Text, TextTable
from kwhost.core.errors import UsageError
from kwhost.core.model.addresses import http_address, tcp_address
from kwhost.core.model.registries import registry_name
from kwhost.core.model.secrets import secret_name
from kwhost.core.model.tmpfs import parse_visible
from kwhost.core.model.units import format_bytes, format_duration, parse_bytes, parse_duration

__all__ = [
    "ABSOLUTE_PATH",
    "ABSOLUTE_PATHS",
    "HTTP_ADDRESS",
    "IMAGE",
    "INSTANCES",
    "PATH",
    "PATHS",
    "PLUGINS",
    "PLUGIN_NAMES",
    "REGISTRIES",
    "SECRETS",
    "STORAGE",
    "TCP_ADDRESS",
    "USER",
    "USERS",
    "VOLUMES",
    "duration",
    "plugin_name",
    "size",
]

_LARGEST_SIZE = 2**50
_PLUGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


def size(low: str) -> Quantity:
    """Bytes."""
    return Quantity(
        words="a size such as 256M",
        parse=parse_bytes,
        show=format_bytes,
        low=parse_bytes(low),
        high=_LARGEST_SIZE,
        fractional=False,
    )


def duration(low: str, high: str) -> Quantity:
    """Seconds."""
    return Quantity(
        words="a time such as 30s",
        parse=parse_duration,
        show=format_duration,
        low=parse_duration(low),
        high=parse_duration(high),
        fractional=True,
    )


def _not_empty(text: str) -> str:
    if not text:
        raise UsageError("must not be empty")
    return text


def _absolute_path(text: str) -> str:
    if not text.startswith("/"):
        raise UsageError(f"must be an absolute path, not {text!r}")
    return text


def _user(text: str) -> str:
    user, colon, group = text.partition(":")
    if not user or (colon and not group):
        raise UsageError(f"{text!r} is no user: write USER or USER:GROUP, by name or number")
    return text


def plugin_name(text: str) -> str:
    """Check the name of a plugin."""
    if not _PLUGIN.fullmatch(text):
        raise UsageError(f"{text!r} is no name of a plugin")
    return text


def _plugin_source(text: str) -> str:
    if not text.startswith("/") and not _PLUGIN.fullmatch(text):
        raise UsageError(f"{text!r} is no plugin: write MODULE, MODULE:OBJECT or /PATH/FILE.py")
    return text


def _image(text: str) -> str:
    if not text or " " in text or not text.isprintable():
        raise UsageError(f"{text!r} is no image: write NAME:TAG, or host")
    return text


PATH = Text("a path", _not_empty)
ABSOLUTE_PATH = Text("an absolute path", _absolute_path)
USER = Text("a user such as nobody or 1000:1000", _user)
IMAGE = Text('an image such as "app:1" or "host"', _image)
HTTP_ADDRESS = Text("an address such as http://:8000/health", http_address)
TCP_ADDRESS = Text("an address such as :5432", tcp_address)

ABSOLUTE_PATHS = ListOf(words="a list of absolute paths", element=ABSOLUTE_PATH)
PATHS = ListOf(words="a path, or a list of paths", element=PATH, or_one=True)
USERS = ListOf(words="a list of user names", element=Text("a user name", _not_empty))
PLUGINS = ListOf(words="a list of plugins", element=Text("a text such as MODULE", _plugin_source))
PLUGIN_NAMES = ListOf(words="a list of names of plugins", element=Text("a plugin's name", plugin_name))
REGISTRIES = ListOf(words="a list of registries", element=Text("HOST or HOST:PORT", registry_name))
STORAGE = Text("the name of a storage", _not_empty)
INSTANCES = ListOf(words="a list of instances", element=Text("an instance's name", _not_empty))
SECRETS = TextTable('a table of files such as { key = "web.key" }', secret_name, PATH)
VOLUMES = ListOf(words='a list such as ["./data:/data:ro"]', element=Text("a text", parse_visible))
