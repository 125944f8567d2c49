"""Records what a daemon answers, for the tests of the terminal interface:

python -m tests.tui.record SOCKET >tests/tui/transcripts/NAME.json
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kwhost.core.api.client import Client, instance_path

_STATS = 8
_EVENTS = 60


def _streamed(client: Client, path: str, count: int | None, **query: Any) -> Iterator[dict[str, Any]]:
    for event in islice(client.events(path, query), count):
        yield {"name": event.name, "id": event.id, "data": event.data}


def record(client: Client) -> dict[str, Any]:
    """Answers by path, and streams of events; `time` is when."""
    lists = ("/v1/info", "/v1/instances", "/v1/tenants", "/v1/questions")
    answers = {
        path: client.request("GET", path, {"all": True} if path.endswith("instances") else None)
        for path in lists
    }
    streams = {"/v1/stats": list(_streamed(client, "/v1/stats", _STATS, follow=True))}
    streams["/v1/events"] = list(_streamed(client, "/v1/events", None))[-_EVENTS:]
    answers["/v1/info"] |= {"state_dir": "/var/lib/kwhost", "run_dir": "/run/kwhost", "configuration": None}
    for status in answers["/v1/instances"]:
        for operation in ("definition", "stats", "top", "policy"):
            path = instance_path(status["id"], operation)
            if operation != "top" or status["state"] == "running":
                answers[path] = client.request("GET", path)
        path = instance_path(status["id"], "logs")
        streams[path] = list(_streamed(client, path, None, tail=60))
    return {"time": time.time(), "answers": answers, "streams": streams}


if __name__ == "__main__":
    json.dump(record(Client(Path(sys.argv[1]))), sys.stdout, indent=None, separators=(",", ":"))
