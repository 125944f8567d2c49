"""The built-in image `host`: this machine's own programs, read-only, under a fresh root.

The plan is pure; what it needs to know of the machine is read by `probe_host`. Nothing of the machine
is id-mapped: its files belong to nobody known inside, so that the kernel itself gives the instance
only what every user of this host may read. Above /etc a tmpfs keeps what the instance writes.
"""

import os
from pathlib import Path

from kwhost.core.images.accounts import Accounts, read_accounts
from kwhost.core.images.image import Image
from kwhost.core.images.system_dirs import system_mounts
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

__all__ = ["HIDDEN_IN_ETC", "HostLayout", "host_image", "plan_host", "probe_host"]

# The machine's top-level program directories: the text of a link, or None for a directory.
HostLayout = dict[str, str | None]

# Hidden although the kernel would refuse them too: so that not even their names or sizes show.
HIDDEN_IN_ETC = (
    "shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "sudoers.d", "ssh", "ssl/private", "kwhost",
)  # fmt: skip

_DIRECTORIES = (
    ("/tmp", 0o1777),  # noqa: S108 - the instance's own
    ("/run", 0o755),
    ("/run/lock", 0o1777),
    ("/var", 0o755),
    ("/var/tmp", 0o1777),  # noqa: S108
    ("/var/lib", 0o755),
    ("/var/cache", 0o755),
    ("/var/log", 0o755),
    ("/var/spool", 0o755),
    ("/root", 0o700),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/srv", 0o755),
)
_WRITABLE_IF_READ_ONLY = (("/tmp", "1777"), ("/run", "755"), ("/var/tmp", "1777"))  # noqa: S108

_HOSTS = """127.0.0.1\tlocalhost
127.0.1.1\t{name}
::1\tlocalhost ip6-localhost ip6-loopback
"""
_RESOLV_CONF = "# This instance has no network beyond its own loopback.\n"


def probe_host(root: Path = Path("/")) -> HostLayout:
    """Look at /usr, /bin, /sbin and /lib* as they are on this machine."""
    names = ["usr", "bin", "sbin", *sorted(path.name for path in root.glob("lib*"))]
    entries: dict[str, str | None] = {}
    for name in names:
        path = root / name
        if path.is_symlink():
            entries[name] = os.readlink(path)
        elif path.is_dir():
            entries[name] = None
    return entries


def _programs(layout: HostLayout) -> list[Mount]:
    flags = MountFlag.READ_ONLY | MountFlag.RECURSIVE
    return [
        Mount(MountKind.BIND, f"/{name}", f"/{name}", flags)
        if link is None
        else Mount(MountKind.SYMLINK, f"/{name}", link)
        for name, link in layout.items()
    ]


def _etc(name: str) -> list[Mount]:
    generated = {
        "hosts": _HOSTS.format(name=name),
        "hostname": name + "\n",
        "resolv.conf": _RESOLV_CONF,
    }
    return [
        Mount(MountKind.OVERLAY, "/etc", "/etc"),
        *(Mount(MountKind.HIDE, f"/etc/{path}") for path in HIDDEN_IN_ETC),
        *(Mount(MountKind.FILE, f"/etc/{path}", text, mode=0o644) for path, text in generated.items()),
    ]


def plan_host(layout: HostLayout, name: str, *, read_only: bool) -> tuple[Mount, ...]:
    """The steps that make the root."""
    mounts = [Mount(MountKind.TMPFS, "/", data="mode=755")]
    mounts += _programs(layout)
    mounts += _etc(name)
    mounts += [Mount(MountKind.DIRECTORY, path, mode=mode) for path, mode in _DIRECTORIES]
    mounts += [
        Mount(MountKind.SYMLINK, "/var/run", "/run"),
        Mount(MountKind.SYMLINK, "/var/lock", "/run/lock"),
    ]
    if read_only:
        mounts += [Mount(MountKind.TMPFS, path, data=f"mode={mode}") for path, mode in _WRITABLE_IF_READ_ONLY]
    return (*mounts, *system_mounts())


def host_image(name: str, *, read_only: bool) -> Image:
    """This machine as an image."""
    accounts: Accounts = read_accounts("/")
    return Image(mounts=plan_host(probe_host(), name, read_only=read_only), accounts=accounts)
