"""`kwhost wireguard-key`: what the other hosts need to know of this one."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kwhost.core.config.host import load_host_config
from kwhost.core.errors import HostError
from kwhost.core.model.ids import tenant_name

from kwhost_net_wireguard.keys import own_key, public_key, read_key

__all__ = ["main"]

_DESCRIPTION = """Print the public key that this host has in a tenant's tunnels. The private key is generated
where there is none yet."""


def main(arguments: Sequence[str]) -> int:
    """Print the key."""
    parser = argparse.ArgumentParser(prog="kwhost wireguard-key", description=_DESCRIPTION)
    parser.add_argument("tenant", metavar="TENANT")
    parser.add_argument(
        "--private-key-file",
        type=Path,
        metavar="FILE",
        help="the tenant's private_key_file, where the configuration names one",
    )
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="default: the configuration's state_dir"
    )
    options = parser.parse_args(list(arguments))
    tenant = tenant_name(options.tenant)
    if options.private_key_file:
        private = read_key(options.private_key_file)
    else:
        state_dir = options.state_dir or load_host_config().state_dir
        if not state_dir.is_dir():
            raise HostError(
                f"there is no state directory {state_dir}: start kwhost once, or name another one"
            )
        private = own_key(state_dir, tenant)
    sys.stdout.write(f"{public_key(private)}\n")
    return 0
