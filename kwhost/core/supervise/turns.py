"""Turns: of what keeps processors busy, a start or an end, only a few go on at once.

Hundreds at once would not be over sooner, and until then the daemon itself and the programs that run would
have to queue for a processor. Whoever has a turn gives it back after a while, even if it is not done by then:
what takes long mostly waits, and keeps no processor busy.
"""

import os

import trio

__all__ = ["END_SECONDS", "STARTS", "START_SECONDS", "STOPS"]

# Enough that no processor is idle while an instance waits for the kernel.
_AT_ONCE = 2 * (os.cpu_count() or 1)

STARTS = trio.CapacityLimiter(_AT_ONCE)
STOPS = trio.CapacityLimiter(2 * _AT_ONCE)

# The longest turn: a program runs after milliseconds, and most end as soon.
START_SECONDS = 1.0
END_SECONDS = 0.1
