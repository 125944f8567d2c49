"""What the daemon itself costs, as metrics."""

import os
import time
from pathlib import Path

from kwhost.hookspecs import Metric, MetricKind, Sample, hookimpl


def _metric(name: str, text: str, kind: MetricKind, value: float) -> Metric:
    return Metric(name=f"kwhost_daemon_{name}", help=text, kind=kind, samples=(Sample(value=value),))


@hookimpl
def metrics() -> tuple[Metric, ...]:
    """From this process's own entries in /proc (proc(5))."""
    resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    # The fields behind the command, which may contain anything, start with the third of proc(5).
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    gauge = MetricKind.GAUGE
    return (
        _metric("cpu_seconds_total", "CPU time of the daemon.", MetricKind.COUNTER, time.process_time()),
        _metric(
            "resident_bytes",
            "Resident memory of the daemon.",
            gauge,
            resident_pages * os.sysconf("SC_PAGE_SIZE"),
        ),
        _metric(
            "open_descriptors",
            "Descriptors that the daemon has open.",
            gauge,
            len(os.listdir("/proc/self/fd")),
        ),
        _metric("threads", "Threads of the daemon.", gauge, int(fields[17])),
        _metric("up_seconds", "Since the daemon started.", gauge, max(0.0, uptime - began)),
    )
