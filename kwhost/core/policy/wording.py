"""A call as people write it on a command line."""

import os
import posixpath
import re
from collections.abc import Sequence
from ipaddress import ip_address

from kwhost.core.errors import UsageError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Direction, Protocol
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse
from kwhost.core.policy.uses import path_accesses
from kwhost.core.policy.words import parse_calls, parse_number

__all__ = ["parse_call"]

_REGISTER = 0xFFFF_FFFF_FFFF_FFFF
_ARGUMENTS_MAX = 6
_ADDRESS = re.compile(r"(?:(tcp|udp):)?(?:\[([0-9a-fA-F:.]+)\]|([0-9.]*)):([0-9]{1,5})")
_LISTENING = ("bind", "listen")
_DATAGRAMS = ("sendto", "sendmsg", "sendmmsg")


def parse_call(words: Sequence[str]) -> Call:
    """Read a call's name and arguments: numbers, constants, paths and addresses. Raises UsageError."""
    name, *texts = words
    if name not in CALLS:
        parse_calls(name)  # says what was meant
        raise UsageError(f"{name} is a set: write one call of it")
    if len(texts) > _ARGUMENTS_MAX:
        raise UsageError(f"{len(texts)} arguments are more than a call has; {_ARGUMENTS_MAX} are allowed")
    arguments: list[int] = []
    paths: list[bytes] = []
    addresses: list[AddressUse] = []
    for text in texts:
        match = _ADDRESS.fullmatch(text)
        if text.startswith("/"):
            # A path that begins with two slashes keeps them otherwise.
            path = "/" + posixpath.normpath(text).lstrip("/")
            paths.append(os.fsencode(path))
        elif match:
            addresses.append(_address_use(name, text, match))
        number = 0 if match or text.startswith("/") else parse_number(text)
        if not -(_REGISTER // 2) - 1 <= number <= _REGISTER:
            raise UsageError(f"{text} does not fit in an argument")
        arguments.append(number & _REGISTER)
    accesses = path_accesses(name, arguments, len(paths))
    uses = tuple(PathUse(path, access) for path, access in zip(paths, accesses, strict=False))
    return Call(name, tuple(arguments), uses, tuple(addresses))


def _address_use(call: str, text: str, match: re.Match[str]) -> AddressUse:
    try:
        address = ip_address(match[2] or match[3] or "0.0.0.0")  # noqa: S104 - nobody binds it
    except ValueError:
        raise UsageError(f"{text!r} is no address: write for example 10.0.0.1:443 or [::1]:80") from None
    port = int(match[4])
    if port > 65_535:
        raise UsageError(f"there is no port {port}: ports are 1 to 65535")
    default = Protocol.UDP if call in _DATAGRAMS else Protocol.TCP
    return AddressUse(
        Direction.LISTEN if call in _LISTENING else Direction.TO,
        address,
        port,
        Protocol(match[1]) if match[1] else default,
    )
