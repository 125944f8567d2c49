"""System calls without a virtual machine: allowed by the filter, refused, decided by the broker."""

from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import KWHOST, NATIVE, Bench
from benchmarks.commands import Command, figures_of
from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS, parse_figures
from benchmarks.policies import PATH_RULES, default_policy, given_policy
from benchmarks.rounds import Sample, Table, interleave
from kwhost.core.engines.base import PolicyFds

__all__ = ["measure_process_calls"]

_GROUP = "engine process"
_COUNT = 20_000
_FEWER = 2_000
_OPENS = 1_000
_REFUSING = 'base = "default"\nsyscalls = { deny = ["getppid"] }'
_KEPT = 'base = "default"\nfiles = [{ path = "/**", access = "rx" }, { path = "/tmp/**", access = "rw" }]'
_ALLOWED = Target(limit=1.1)
_FILTERED = "native, empty filter"


def _inside(bench: Bench, policy: PolicyFds, name: str, *arguments: str) -> Sample:
    plan = bench.processes.plan((f"{GUEST_PROGRAMS}/{name}", *arguments), programs=bench.workspace.programs)
    return lambda: parse_figures(bench.processes.run(plan, policy=policy).output)


def _outside(command: Command) -> Sample:
    return lambda: figures_of(command)


def _figure(
    name: str, table: Table, key: str, reference: str = NATIVE, target: Target | None = None
) -> Figure:
    ours, theirs = table[KWHOST][key], table[reference][key]
    return Figure(group=_GROUP, name=name, ours=ours, reference=theirs, target=target)


def _plain(bench: Bench, default: PolicyFds, refusing: PolicyFds) -> list[Figure]:
    """Getppid, which costs nearly nothing but the way into the kernel."""
    program = bench.workspace.program("calls")
    argument = str(_COUNT)
    samples = {
        KWHOST: _inside(bench, default, "calls", argument),
        NATIVE: _outside([program, argument]),
        _FILTERED: _outside([program, argument, "filtered"]),
    }
    if bwrap := bench.peers.bwrap:
        root, programs = bench.workspace.busybox_root(), bench.workspace.programs
        samples["bwrap"] = _outside(
            bwrap.run(f"{GUEST_PROGRAMS}/calls", argument, root=root, programs=programs)
        )
    if crun := bench.peers.crun:
        samples["crun"] = _outside(crun.run(f"{GUEST_PROGRAMS}/calls", argument))
    table = interleave(samples, 2 * bench.rounds)
    targets = {NATIVE: _ALLOWED, _FILTERED: None, "bwrap": None, "crun": None}
    figures = [
        _figure("getppid, allowed", table, "ns_per_call", label, target)
        for label, target in targets.items()
        if label in table
    ]
    refused = {
        KWHOST: _inside(bench, refusing, "calls", str(_FEWER)),
        NATIVE: _outside([program, str(_FEWER)]),
    }
    table = interleave(refused, bench.rounds)
    return [*figures, _figure("getppid, refused and told", table, "ns_per_call")]


def _openings(bench: Bench, default: PolicyFds, kept: PolicyFds, ruled: PolicyFds) -> list[Figure]:
    """Openat, without rules about paths, with rules that Landlock keeps, with rules that the broker does."""
    program, programs = bench.workspace.program("opens"), bench.workspace.programs
    (programs / "opened").write_text("something\n")

    def arguments(directory: Path) -> tuple[str, ...]:
        return str(_OPENS), str(directory), "open", str(directory / "opened")

    inside = arguments(Path(GUEST_PROGRAMS))
    samples = {
        KWHOST: _inside(bench, default, "opens", *inside),
        NATIVE: _outside([program, *arguments(programs)]),
        "kept": _inside(bench, kept, "opens", *inside),
        "ruled": _inside(bench, ruled, "opens", *inside),
    }
    table = interleave(samples, 2 * bench.rounds)
    by_landlock = {KWHOST: table.pop("kept"), NATIVE: table[NATIVE]}
    by_broker = {KWHOST: table.pop("ruled"), NATIVE: table[NATIVE]}
    return [
        _figure("openat, allowed", table, "open", target=_ALLOWED),
        _figure("openat, with path rules that Landlock keeps", by_landlock, "open"),
        _figure("openat, with 200 path rules", by_broker, "open"),
    ]


def measure_process_calls(bench: Bench) -> list[Figure]:
    """With the default policy, one that denies the call, and two with rules about paths."""
    with ExitStack() as policies:
        default = policies.enter_context(default_policy())
        refusing, kept, ruled = (
            policies.enter_context(given_policy(text)) for text in (_REFUSING, _KEPT, PATH_RULES)
        )
        return [*_plain(bench, default, refusing), *_openings(bench, default, kept, ruled)]
