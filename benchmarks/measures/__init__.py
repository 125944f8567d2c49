"""The measurements, by the names that `--only` takes, in the order in which they run."""

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures.attach import measure_attach
from benchmarks.measures.bridge import measure_bridge
from benchmarks.measures.calls import measure_calls
from benchmarks.measures.command import measure_command
from benchmarks.measures.compute import measure_clock, measure_compute
from benchmarks.measures.disks import measure_disks
from benchmarks.measures.files import measure_files
from benchmarks.measures.forward import measure_forward
from benchmarks.measures.hosting import measure_hosting
from benchmarks.measures.idle import measure_idle
from benchmarks.measures.images import measure_image_sharing, measure_image_starts, measure_images
from benchmarks.measures.interpreters import measure_interpreters
from benchmarks.measures.memory import measure_memory
from benchmarks.measures.names import measure_names
from benchmarks.measures.policy import measure_policy
from benchmarks.measures.policy_start import measure_policy_start
from benchmarks.measures.process_calls import measure_process_calls
from benchmarks.measures.process_start import measure_process_start
from benchmarks.measures.processes import measure_processes
from benchmarks.measures.published import measure_published
from benchmarks.measures.start import measure_machine, measure_start
from benchmarks.measures.starts import measure_starts
from benchmarks.measures.tui import measure_tui

__all__ = ["MEASURES"]

MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "calls": measure_calls,
    "policy": measure_policy,
    "machine": measure_machine,
    "start": measure_start,
    "policy-start": measure_policy_start,
    "process-start": measure_process_start,
    "process-calls": measure_process_calls,
    "compute": measure_compute,
    "clock": measure_clock,
    "memory": measure_memory,
    "files": measure_files,
    "idle": measure_idle,
    "processes": measure_processes,
    "command": measure_command,
    "interpreters": measure_interpreters,
    "images": measure_images,
    "image-starts": measure_image_starts,
    "image-sharing": measure_image_sharing,
    "disks": measure_disks,
    "starts": measure_starts,
    "hosting": measure_hosting,
    "attach": measure_attach,
    "forward": measure_forward,
    "published": measure_published,
    "bridge": measure_bridge,
    "names": measure_names,
    "tui": measure_tui,
}
