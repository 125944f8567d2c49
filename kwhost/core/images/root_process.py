"""The process that makes, removes and tries roots: `root_process CONTROL WISH`.

WISH is JSON. `action` is `copy` (to the empty directory `target`, of the directories `layers`),
`empty` (the directory `target`), or `try` (an overlay over the paths `layers`). An ordinary user's process
works in a user namespace, where it may give files away and read all that belongs to the user's ids: with
`namespace` it tells on the socket CONTROL that it is in one, and waits until its ids are there. Before it
touches anything of an image's it has nothing in reach but `target`, the layers, and the capabilities for
files. What came of it goes to standard output as JSON: `refused` with `errno`, or what the action answers.
"""

import errno
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any

from kwhost.core.abi import mounting, unpack_jail
from kwhost.core.abi.openat2 import open_without_links
from kwhost.core.images.removal import remove_tree
from kwhost.core.images.tree_copy import TreeCopy
from kwhost.core.images.unpack_process import become_root

__all__ = ["main"]

_FRAMES = 4000  # for directories in each other


def _enter_namespace(control: socket.socket) -> None:
    unpack_jail.own_user_namespace()
    control.send(b"namespace")
    if not control.recv(64):
        sys.exit(1)  # whoever wanted it is gone
    become_root()


def _enter(target: str) -> int:
    """Have a directory as the only one that this process sees; a descriptor of it."""
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    tree = unpack_jail.mount_of(directory)
    os.close(directory)
    unpack_jail.enter_mount(tree)
    os.close(tree)
    unpack_jail.keep_file_capabilities()
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _layer(path: str) -> int:
    """A layer as an overlay has it, without what is mounted within it; by a path without links."""
    directory = open_without_links(path, os.O_PATH | os.O_DIRECTORY)
    try:
        tree = unpack_jail.mount_of(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        text = f"an ordinary user cannot have {path} without what is mounted within it"
        raise OSError(errno.EINVAL, text) from error
    # Opened here, it can be read as well; whoever wants it copied may not be able to.
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)


def _copy(wish: dict[str, Any]) -> dict[str, Any]:
    sys.setrecursionlimit(_FRAMES)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    unpack_jail.own_mounts()
    layers = [_layer(path) for path in wish["layers"]]
    root = _enter(wish["target"])
    return TreeCopy(root, owners=wish["owners"], most=wish["most"]).fill(layers)._asdict()


def _empty(wish: dict[str, Any]) -> dict[str, Any]:
    unpack_jail.own_mounts()
    _enter(wish["target"])
    for path in Path("/").iterdir():
        remove_tree(path)
    return {}


def _try(wish: dict[str, Any]) -> dict[str, Any]:
    """As the jail makes it: in namespaces of its own, with notes in the user's attributes."""
    uid, gid = os.geteuid(), os.getegid()
    unpack_jail.own_user_namespace()
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    unpack_jail.own_mounts()
    layers = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in wish["layers"]]
    mounting.mount_new("tmpfs", wish["layers"][0], "mode=700")
    os.chdir(wish["layers"][0])
    for name in ("upper", "work", "root"):
        Path(name).mkdir()
    lower = ":".join(f"/proc/self/fd/{fd}" for fd in layers)
    mounting.mount_new("overlay", "root", f"lowerdir={lower},upperdir=upper,workdir=work,userxattr")
    os.listdir("root")
    return {}


_ACTIONS = {"copy": _copy, "empty": _empty, "try": _try}


def main(arguments: list[str]) -> None:
    """Do the work; ends the process."""
    wish = json.loads(arguments[1])
    os.umask(0)
    try:
        unpack_jail.end_with_parent()
        if os.getppid() != wish["parent"]:
            os._exit(1)  # it has ended already: nobody would look after this process
        if wish["namespace"]:
            _enter_namespace(socket.socket(fileno=int(arguments[0])))
            unpack_jail.end_with_parent()  # forgotten with the change of ids
        result = _ACTIONS[wish["action"]](wish)
    except OSError as error:
        result = {"refused": error.strerror or str(error), "errno": error.errno}
    sys.stdout.write(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
