"""What a daemon remembers of half an hour, which nobody wants to wait for to record it."""

from math import sin
from typing import Any

__all__ = ["add_histories"]

_SAMPLES = 180
_SECONDS = 10.0
_COUNTERS = ("cpu_seconds", "calls", "refused", "sent_bytes", "received_bytes")


def _sample(use: dict[str, Any], number: int, time: float) -> dict[str, Any]:
    """Waves about what is used in the recording, which is of some seconds."""
    share = number / 3 + sin(number / 9) if number else 0.0
    counters = {name: None if use[name] is None else use[name] * share for name in _COUNTERS}
    whole = {name: None if value is None else int(value) for name, value in counters.items()}
    memory = int(use["memory"] * (1 + 0.4 * sin(number / 20)))
    return {"time": time, "memory": memory} | whole | {"cpu_seconds": counters["cpu_seconds"]}


def add_histories(transcript: dict[str, Any]) -> None:
    """Add it to what a recorded daemon answers."""
    uses = {use["id"]: use["usage"] for use in transcript["streams"]["/v1/stats"][0]["data"]}
    newest = transcript["time"] - 3.0
    for status in transcript["answers"]["/v1/instances"]:
        samples = [
            _sample(uses[status["id"]], number, newest - (_SAMPLES - number) * _SECONDS)
            for number in range(1, _SAMPLES + 1)
            if status["id"] in uses and not 150 < number < 160  # it did not run
        ]
        path = f"/v1/instances/{status['id']}/history"
        transcript["answers"][path] = {"seconds": _SECONDS, "samples": samples}
