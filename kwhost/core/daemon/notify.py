"""Telling the service manager how the daemon is: sd_notify(3), without its library."""

import os
import socket

from kwhost.core.errors import HostError

__all__ = ["notify_service_manager"]


def notify_service_manager(state: str) -> None:
    """Send `READY=1`, `STOPPING=1` or `STATUS=...`; without a service manager, nothing. Raises HostError."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract address
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        try:
            connection.connect(address)
            connection.send(state.encode())
        except OSError as error:
            raise HostError(f"cannot reach the service manager at NOTIFY_SOCKET: {error.strerror}") from error
