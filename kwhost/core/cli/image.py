"""`kwhost image`: images that instances are made of."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kwhost.core.cli.connection import add_host_option
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.image_access import Archive, ImageAccess, open_access, pack_directory, read_archive
from kwhost.core.cli.options import CommandParser
from kwhost.core.cli.results import output_width, show_json, show_result
from kwhost.core.cli.tables import format_table
from kwhost.core.errors import ImageError, UsageError
from kwhost.core.model.units import format_bytes

__all__ = ["format_images", "main"]

_USAGE = (
    "kwhost image load FILE|DIR | import DIR|FILE NAME | pull NAME | login REGISTRY | logout REGISTRY | ls | "
    "inspect NAME... | rm NAME... | prune [OPTIONS]"
)
_DESCRIPTION = """The images that kwhost run --image and a configuration's `image` name. What an operator
brings all tenants may use; with --tenant, or brought by a tenant's user, it is that tenant's alone.

load      add what an archive of docker save, podman save or skopeo has (docker-archive, oci-archive),
          also compressed with gzip or zstd, or the directory of an OCI image layout; - is standard input
import    add an image out of a root file system: a directory, or a tar archive of one
pull      fetch one from a registry, with this user's credentials; what has come is not fetched again
login     keep a name and a password for a registry, where docker login and podman login find them too
logout    forget them
ls        list them
inspect   show all about them, as JSON
rm        forget names; what nothing else needs goes with them
prune     forget the images that no instance is made of"""
_EPILOG = """examples:
  docker save app:1 | kwhost image load -
  kwhost image load app.tar.gz --name app:1
  kwhost image import ./rootfs base:12
  kwhost image pull registry.example/debian:12
  kwhost run --image app:1"""

_DIGITS = 12


def format_images(images: Sequence[dict[str, Any]]) -> str:
    """The list for people."""
    from kwhost.core.cli.times import format_when  # of all actions, only this one shows times

    return format_table(
        ("NAME", "DIGEST", "TENANT", "LAYERS", "SIZE", "ADDED"),
        (
            (
                image["name"],
                image["digest"].partition(":")[2][:_DIGITS],
                image["tenant"] or "-",
                str(image["layer_count"]),
                format_bytes(image["size"]),
                format_when(image["added"]),
            )
            for image in images
        ),
        output_width(),
    )


def _load(access: ImageAccess, names: Sequence[str], options: Any, *, shown: bool) -> None:
    if len(names) != 1:
        raise UsageError("write kwhost image load FILE|DIR; - is standard input")
    with _about(names[0]):
        _show_added(access.add(_archive(names[0], shown=shown), name=options.name, root=False))


@contextmanager
def _about(source: str) -> Iterator[None]:
    """What is wrong with what is brought names it: whoever finds that out has not seen its name."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{'standard input' if source == '-' else source}: {error}") from error


def _archive(source: str, *, shown: bool) -> Archive:
    """A file, or a directory as an archive of it."""
    if source != "-" and Path(source).is_dir():
        return pack_directory(Path(source), shown=shown)
    return read_archive(source, shown=shown)


def _import(access: ImageAccess, names: Sequence[str], _options: Any, *, shown: bool) -> None:
    if len(names) != 2:
        raise UsageError("write kwhost image import DIR|FILE NAME[:TAG]")
    with _about(names[0]):
        _show_added(access.add(_archive(names[0], shown=shown), name=names[1], root=True))


def _pull(access: ImageAccess, names: Sequence[str], options: Any, *, shown: bool) -> None:
    from kwhost.core.cli.image_pull import pull  # brings http

    if not names:
        raise UsageError("write kwhost image pull REGISTRY/NAME[:TAG]...")
    for name in names:
        _show_added(pull(access, name, options, shown=shown))


def _show_added(images: Sequence[dict[str, Any]]) -> None:
    show_result("".join(f"{image['name']}\n" for image in images))


def _list(access: ImageAccess, names: Sequence[str], options: Any, *, shown: bool) -> None:  # noqa: ARG001
    if names:
        raise UsageError("kwhost image ls takes no names; kwhost image inspect NAME shows one")
    images = access.all_images()
    if options.json:
        show_json(images)
    else:
        show_result(format_images(images))


def _inspect(access: ImageAccess, names: Sequence[str], _options: Any, *, shown: bool) -> None:  # noqa: ARG001
    _some(names, "inspect")
    show_json([access.inspect(name) for name in names])


def _remove(access: ImageAccess, names: Sequence[str], _options: Any, *, shown: bool) -> None:  # noqa: ARG001
    _some(names, "rm")
    for name in names:
        image = access.remove(name)
        show_result(f"{image['name']}\n")
        if having := ", ".join(image["instances"]):
            notice(f"{having} still has what was called {image['name']}, which stays until it is removed")


def _prune(access: ImageAccess, names: Sequence[str], _options: Any, *, shown: bool) -> None:  # noqa: ARG001
    if names:
        raise UsageError("kwhost image prune takes no names; kwhost image rm NAME removes one")
    show_result("".join(f"{image['name']}\n" for image in access.prune()))


def _some(names: Sequence[str], action: str) -> None:
    if not names:
        raise UsageError(f"write kwhost image {action} NAME...; kwhost image ls lists them")


_ACTIONS = {
    "load": _load,
    "import": _import,
    "pull": _pull,
    "ls": _list,
    "inspect": _inspect,
    "rm": _remove,
    "prune": _prune,
}


def _credentials(options: Any) -> int:
    """Log in or out."""
    if len(options.names) != 1:
        raise UsageError(f"write kwhost image {options.action} REGISTRY")
    from kwhost.core.cli.image_pull import login, logout

    (registry,) = options.names
    show_result(login(registry, options) if options.action == "login" else logout(registry))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do it."""
    parser = CommandParser("image", _USAGE, _DESCRIPTION, _EPILOG)
    actions = (*_ACTIONS, "login", "logout")
    parser.add_argument("action", choices=actions, metavar="ACTION", help=", ".join(actions))
    parser.add_argument("names", nargs="*", metavar="NAME", help="of images or files, as above")
    parser.add_argument("--name", metavar="NAME[:TAG]", help="what load calls the image")
    parser.add_argument("--tenant", metavar="T", help="whose the image is; needs a daemon")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("--creds", metavar="USER:PASSWORD", help="for pull and login; others see them in ps")
    parser.add_argument("--plain-http", action="store_true", help="the registry has no encryption")
    parser.add_argument("--progress", action="store_true", help="tell how far it is, not on terminals alone")
    add_host_option(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.name is not None and options.action != "load":
        raise UsageError("--name is for kwhost image load alone")
    if options.action in ("login", "logout"):
        return _credentials(options)
    shown = options.progress or sys.stderr.isatty()
    access = open_access(options.host, options.tenant, shown=shown)
    _ACTIONS[options.action](access, options.names, options, shown=shown)
    return 0
