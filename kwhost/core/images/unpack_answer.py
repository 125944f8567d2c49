"""What the process that unpacks says about its work.

It has read hostile data, and may be somebody else's by now: neither can it keep whoever waits for it, nor
fill the memory.
"""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from kwhost.core.errors import HostError, ImageError

__all__ = ["read_answer"]

_ANSWER_MAX = 16 * 1024 * 1024
_COMPLAINT_MAX = 16 * 1024
_PIECE = 64 * 1024
_LOOK_SECONDS = 0.1


def read_answer(
    process: subprocess.Popen[bytes], seconds: float, look: Callable[[], object] = lambda: None
) -> dict[str, object]:
    """Its answer, once it has ended; meanwhile `look` is called now and then, and may raise. Raises
    ImageError where it refuses the image, says too much, or has not ended after so many seconds: whoever has
    started it ends it. Raises HostError where it failed."""
    end = time.monotonic() + seconds
    try:
        answer, complaint = _hear(process, end, look)
        status = _wait(process, end, look)
    except TimeoutError:
        raise ImageError(f"unpacking the image did not come to an end in {seconds:.0f} seconds") from None
    if status < 0:
        raise ImageError(
            f"the process that unpacks the image was killed by signal {-status}: it needed too much"
        )
    try:
        result = json.loads(answer)
        assert isinstance(result, dict)
    except (ValueError, RecursionError, AssertionError) as error:
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise HostError(f"the process that unpacks images failed: {last or f'status {status}'}") from error
    if "error" in result:
        raise ImageError(str(result["error"])[:500])
    return result


def _hear(process: subprocess.Popen[bytes], end: float, look: Callable[[], object]) -> tuple[bytes, bytes]:
    """All of its standard output, and what its standard error begins with. Raises TimeoutError,
    ImageError."""
    assert process.stdout
    assert process.stderr
    answer, complaint, looked = bytearray(), bytearray(), time.monotonic()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, answer)
        pipes.register(process.stderr, selectors.EVENT_READ, complaint)
        while pipes.get_map():
            ready = pipes.select(min(_left(end), _LOOK_SECONDS))
            if not _left(end):
                raise TimeoutError
            if time.monotonic() >= looked + _LOOK_SECONDS:  # however much it talks
                look()
                looked = time.monotonic()
            for pipe, _ in ready:
                piece = os.read(pipe.fd, _PIECE)
                pipe.data.extend(piece)
                if not piece:
                    pipes.unregister(pipe.fileobj)
            del complaint[_COMPLAINT_MAX:]
            if len(answer) > _ANSWER_MAX:
                raise ImageError("the process that unpacks the image says more about it than is taken")
    return bytes(answer), bytes(complaint)


def _wait(process: subprocess.Popen[bytes], end: float, look: Callable[[], object]) -> int:
    """Its status. It may go on for long after it has closed what it speaks through. Raises TimeoutError."""
    while _left(end):
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(_left(end), _LOOK_SECONDS))
        look()
    raise TimeoutError


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.0)
