"""`kwhost image pull`, `login` and `logout`: images from registries."""

import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from kwhost.core.cli.connection import connect
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.image_access import Archive, ImageAccess, daemon_is_used
from kwhost.core.config.host import load_host_config
from kwhost.core.errors import NotFound, UsageError
from kwhost.core.images.names import parse_name
from kwhost.core.model.registries import registry_name

__all__ = ["login", "logout", "pull"]


def _cache() -> Path:
    home = Path(os.environ.get("HOME") or "/")
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "kwhost/pull"


def _is_plain(registry: str, options: Namespace) -> bool:
    """Whether the registry is asked without encryption: the user says so here, or in the configuration, or
    the operator does for all who use the daemon."""
    if options.plain_http:
        return True
    settings = load_host_config()
    listed = set(settings.insecure_registries)
    if daemon_is_used(options.host, settings):
        listed |= set(connect(options.host).request("GET", "/v1/info")["insecure_registries"])
    return registry.lower() in map(str.lower, listed)


def pull(access: ImageAccess, text: str, options: Namespace, *, shown: bool) -> list[dict[str, Any]]:
    """Fetch an image, and add it. Raises KwhostError."""
    from kwhost.core.images.credentials import find_credentials, parse_credentials
    from kwhost.core.images.pulling import alone_in, archive_of
    from kwhost.core.images.pulling import pull as fetch
    from kwhost.core.images.registry import Registry

    name = parse_name(text)
    if not name.registry:
        raise UsageError(f"{text[:200]!r} names no registry: write REGISTRY/{name.familiar}")
    credentials = parse_credentials(options.creds) if options.creds else find_credentials(name.registry)
    plain = _is_plain(name.registry, options)
    registry = Registry(name.registry, name.repository, credentials, plain=plain)

    def report(line: str) -> None:
        if shown:
            notice(line)

    with alone_in(_cache(), report):
        pulled = fetch(registry, name, _cache(), report)
        archive = Archive(archive_of(pulled, name.familiar), None, shown=shown)
        added = access.add(archive, name=name.full, root=False)
        for file in pulled.blobs.values():
            file.unlink(missing_ok=True)
        return added


def login(registry: str, options: Namespace) -> str:
    """Check a name and a password, and keep them; a line about it. Raises KwhostError."""
    from kwhost.core.images.credentials import Credentials, keep_credentials, parse_credentials
    from kwhost.core.images.registry import Registry

    registry_name(registry)
    given = parse_credentials(options.creds) if options.creds else None
    credentials = given or Credentials(*_ask(registry))
    Registry(registry, "", credentials, plain=_is_plain(registry, options)).check_login()
    return f"credentials for {registry} are kept in {keep_credentials(registry, credentials)}\n"


def logout(registry: str) -> str:
    """Forget a name and a password; lines about it. Raises KwhostError."""
    from kwhost.core.images.credentials import forget_credentials

    places = forget_credentials(registry_name(registry))
    if not places:
        raise NotFound(f"there are no credentials for {registry}")
    return f"credentials for {registry} are removed from {', '.join(places)}\n"


def _ask(registry: str) -> tuple[str, str]:
    """The user's name and password, from a terminal, or as two lines."""
    if not sys.stdin.isatty():
        user, password = (sys.stdin.readline().rstrip("\n") for _ in range(2))
    else:
        from getpass import getpass

        sys.stderr.write(f"user of {registry}: ")
        sys.stderr.flush()
        user, password = sys.stdin.readline().rstrip("\n"), getpass("password: ")
    if not user or not password:
        raise UsageError(
            "a user's name and a password are needed: --creds USER:PASSWORD, or two lines of input"
        )
    return user, password
