"""Addresses inside an instance, as health checks name them."""

import re

from kwhost.core.errors import UsageError

__all__ = ["http_address", "tcp_address"]

_URL = re.compile(r"http://(?:127\.0\.0\.1|localhost)?:([0-9]{1,5})(/[!-~]*)?")
_PORT = re.compile(r"(?:127\.0\.0\.1|localhost)?:([0-9]{1,5})")


def _port(digits: str) -> int:
    port = int(digits)
    if not 1 <= port <= 65_535:
        raise UsageError(f"there is no port {port}: ports are 1 to 65535")
    return port


def http_address(text: str) -> str:
    """Check `http://:PORT/PATH`; the path may be left out."""
    match = _URL.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no address in the instance: write http://:PORT/PATH")
    return f"http://:{_port(match[1])}{match[2] or '/'}"


def tcp_address(text: str) -> str:
    """Check `:PORT`."""
    match = _PORT.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no address in the instance: write :PORT")
    return f":{_port(match[1])}"
