"""`kwhost btrfs`: snapshots of volumes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kwhost.core.config.host import load_host_config
from kwhost.core.errors import HostError, NotFound, UsageError
from kwhost.core.model.ids import tenant_name
from kwhost.core.model.volume import volume_name

from kwhost_storage_btrfs.subvolumes import remove_snapshot, snapshots, take_snapshot

__all__ = ["main"]

_DESCRIPTION = """Snapshots of volumes that the storage btrfs keeps. `ls` prints where they are: an operator's
-v DIRECTORY:/PATH:ro shows one to an instance."""


def main(arguments: Sequence[str]) -> int:
    """List, take or remove one."""
    parser = argparse.ArgumentParser(prog="kwhost btrfs", description=_DESCRIPTION)
    parser.add_argument("action", choices=("ls", "snapshot", "rm"))
    parser.add_argument("volume", metavar="TENANT/VOLUME")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of a snapshot")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="default: the configuration's state_dir"
    )
    options = parser.parse_args(list(arguments))
    if (options.name is None) != (options.action == "ls"):
        wanted = "no" if options.name else "the"
        raise UsageError(f"kwhost btrfs {options.action} takes {wanted} name of a snapshot")
    place = _place(options.state_dir or load_host_config().state_dir, options.volume)
    try:
        if options.action == "snapshot":
            sys.stdout.write(f"{take_snapshot(place, options.name)}\n")
        elif options.action == "rm":
            remove_snapshot(place, options.name)
        else:
            sys.stdout.write("".join(f"{path}\n" for path in snapshots(place)))
    except OSError as error:
        raise HostError(f"the volume {options.volume}: {error.strerror}") from error
    return 0


def _place(state_dir: Path, reference: str) -> Path:
    tenant, _, volume = reference.partition("/")
    place = state_dir / "volumes" / tenant_name(tenant) / volume_name(volume)
    if not (place / "files").is_dir():
        raise NotFound(f"the storage btrfs keeps no volume {volume} of {tenant}")
    return place
