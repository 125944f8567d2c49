"""What a policy with 200 rules about paths adds to calls."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS, parse_figures
from benchmarks.policies import PATH_RULES, given_policy
from benchmarks.rounds import interleave
from kwhost.core.engines.base import NO_POLICY, PolicyFds

__all__ = ["measure_policy"]

_WITH, _WITHOUT = "200 path rules", "no policy"
_COUNT = 1000
_TREE = "tree"
_DEEP = "one/two/three/four/five/six/seven/eight"
_OPEN = Target(limit=1.15)
# Title, path, and what is promised; relative paths begin in the tree.
_OPENS: Mapping[str, tuple[str, str]] = {
    "plain": ("openat of /mnt/tree/file", "{tree}/file"),
    "deep": ("openat, eight directories deep", f"{{tree}}/{_DEEP}/file"),
    "relative": ("openat, relative", "file"),
    "link": ("openat of a symbolic link", "{tree}/link"),
    "through": ("openat through a linked directory", "{tree}/way/file"),
    "library": ("openat of a library (/lib is a link)", "/lib/x86_64-linux-gnu/libc.so.6"),
}


def _make_tree(root: Path) -> None:
    """What is opened; beside the benchmark's programs."""
    deep = root / _DEEP
    if deep.exists():
        return
    deep.mkdir(parents=True)
    for directory in (root, deep):
        (directory / "file").write_text("something\n")
    (root / "link").symlink_to("file")
    (root / "way").symlink_to(_DEEP)


def measure_policy(bench: Bench) -> list[Figure]:
    """A call without a path, and opening files in several ways, with the policy and without one."""
    _make_tree(bench.workspace.programs / _TREE)
    bench.workspace.program("opens")
    tree = f"{GUEST_PROGRAMS}/{_TREE}"
    opens = [word for name, (_, path) in _OPENS.items() for word in (name, path.format(tree=tree))]
    plan = bench.launcher.plan(
        (f"{GUEST_PROGRAMS}/opens", str(_COUNT), tree, *opens), programs=bench.workspace.programs
    )

    def run(policy: PolicyFds) -> dict[str, float]:
        return parse_figures(bench.launcher.run(plan, policy=policy).output)

    with given_policy(PATH_RULES) as policy:
        table = interleave({_WITH: lambda: run(policy), _WITHOUT: lambda: run(NO_POLICY)}, 2 * bench.rounds)
    titles = {"call": ("getppid", Target(limit=1.03))}
    titles |= {name: (title, _OPEN) for name, (title, _) in _OPENS.items()}
    return [
        Figure(
            group="policy",
            name=title,
            ours=table[_WITH][name],
            reference=table[_WITHOUT][name],
            target=target,
        )
        for name, (title, target) in titles.items()
    ]
