"""`python -I -m kwhost.net.resolver UID`: serve the control socket that is descriptor 3, as the user UID.

Everything is loaded first: once it has become another user, nothing more may be readable.
"""

import os
import socket
import sys

import dns.rdata
import trio

from kwhost.core.errors import NetworkError
from kwhost.net.nft import load_nft
from kwhost.net.resolver.complaints import complain
from kwhost.net.resolver.confinement import confine
from kwhost.net.resolver.control import Control
from kwhost.net.resolver.privileges import drop_privileges
from kwhost.net.resolver.servers import RESOLV_CONF

_CONTROL = 3


async def _serve(listening: socket.socket, allowed: frozenset[int]) -> None:
    confine(RESOLV_CONF)  # trio has made all that it needs only once
    async with trio.open_nursery() as nursery:
        control = Control(nursery, allowed)
        nursery.start_soon(control.repair)
        await control.serve(trio.socket.from_stdlib_socket(listening))


def _load_all() -> None:
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]
    try:
        load_nft()
    except NetworkError as error:  # names are answered all the same; who may call some is told so
        complain(str(error))


def main() -> None:
    """Until a daemon says "stop"."""
    os.chdir("/")
    os.closerange(_CONTROL + 1, 1 << 20)  # whatever the starter left open
    listening = socket.socket(fileno=_CONTROL)
    starter = os.getuid()
    _load_all()
    drop_privileges(int(sys.argv[1]))
    trio.run(_serve, listening, frozenset({0, starter}), restrict_keyboard_interrupt_to_checkpoints=True)


main()
