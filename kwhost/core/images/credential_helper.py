"""Programs that keep credentials, docker-credential-NAME, as Docker, podman and skopeo ask them.

The argument is what to do, what with is read from standard input, and what is known, or went wrong, goes to
standard output. Source: docker-credential-helpers.
"""

import os
import re
import selectors
import subprocess
import time
from contextlib import suppress

from kwhost.core.errors import HostError

__all__ = ["ask_helper"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# It may have to ask its user for a password.
_SECONDS = 300.0
_ANSWER_MAX = 64 * 1024
_SHOWN = 200


def ask_helper(name: str, action: str, message: str, seconds: float = _SECONDS) -> str | None:
    """Have a helper `get`, `store` or `erase` something; its answer, None where it has no such credentials.
    Raises HostError, which shows nothing that was kept."""
    if not _NAME.fullmatch(name):
        raise HostError(f"{name[:_SHOWN]!r} is no name of a credential helper")
    program = f"docker-credential-{name}"
    try:
        process = subprocess.Popen([program, action], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise HostError(f"the credential helper {program} cannot be run: {error.strerror}") from error
    with process:
        try:
            answer = _converse(process, message.encode(), time.monotonic() + seconds)
        except TimeoutError:
            raise HostError(f"the credential helper {program} gave no answer in {seconds:g} s") from None
        finally:
            process.kill()
    if answer is None:
        raise HostError(f"the credential helper {program} says more than is taken")
    text = answer.decode("utf-8", "replace")
    if process.returncode == 0:
        return text
    if action != "store" and "not found" in text:  # beside an error's status
        return None
    raise HostError(f"the credential helper {program} failed: {text.strip()[:_SHOWN]!a}")


def _converse(process: "subprocess.Popen[bytes]", message: bytes, end: float) -> bytes | None:
    """Its whole answer, once it has ended; None for more than is taken. Raises TimeoutError."""
    assert process.stdin
    assert process.stdout
    with suppress(BrokenPipeError):  # it knows already
        process.stdin.write(message)
        process.stdin.flush()
    with suppress(BrokenPipeError):
        process.stdin.close()
    answer = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while len(answer) <= _ANSWER_MAX:
            if not ready.select(max(end - time.monotonic(), 0)):
                raise TimeoutError
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(end - time.monotonic(), 0))
                    return bytes(answer)
                raise TimeoutError
            answer += piece
    return None
