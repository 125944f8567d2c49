"""Other ways to run a program apart from the rest, as far as they are installed: crun, bubblewrap, runsc."""

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.commands import Command, output_of
from benchmarks.instances import GUEST_PROGRAMS
from benchmarks.workspace import Workspace

__all__ = ["Bubblewrap", "OciRuntime", "Peers", "find_peers", "in_its_network"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID")


def _mount(target: str, kind: str, *options: str, source: str | None = None) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source or kind, "options": list(options)}


def _system_mounts() -> list[dict[str, Any]]:
    """What `crun spec` proposes, without the cgroup tree."""
    safe = ("nosuid", "noexec", "nodev")
    return [
        _mount("/proc", "proc"),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/dev/shm", "tmpfs", *safe, "mode=1777", "size=65536k"),  # noqa: S108 - the container's own
        _mount("/dev/mqueue", "mqueue", *safe),
        _mount("/sys", "sysfs", *safe, "ro"),
    ]


def _host_mounts(root: Path, programs: Path) -> list[dict[str, Any]]:
    """This machine's programs, as the image `host` shows them; links are made in the root itself."""
    mounts = []
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            (root / name).symlink_to(os.readlink(path))
        elif path.is_dir():
            (root / name).mkdir()
            mounts.append(_mount(f"/{name}", "bind", "rbind", "ro", source=f"/{name}"))
    for target, source in (("etc", "/etc"), (GUEST_PROGRAMS[1:], str(programs))):
        (root / target).mkdir()
        mounts.append(_mount(f"/{target}", "bind", "rbind", "ro", source=source))
    return mounts


def _configuration(
    root: Path, argv: tuple[str, ...], mounts: list[dict[str, Any]], network: str | None
) -> dict[str, Any]:
    namespaces = [{"type": kind} for kind in _NAMESPACES]
    if network:
        namespaces[_NAMESPACES.index("network")]["path"] = network
    kinds = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(argv),
            "env": [f"PATH={_PATH}", "HOME=/"],
            "cwd": "/",
            "capabilities": {kind: list(_CAPABILITIES) for kind in kinds},
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "bench",
        "mounts": [*mounts, *_system_mounts()],
        "linux": {"namespaces": namespaces},
    }


@dataclass(slots=True)
class OciRuntime:
    """A runtime that runs bundles; each program has a bundle of its own."""

    name: str
    command: tuple[str, ...]
    workspace: Workspace
    _bundles: dict[tuple[Path | None, str | None, tuple[str, ...]], Path] = field(default_factory=dict)

    def _bundle(self, argv: tuple[str, ...], root: Path | None, network: str | None) -> Path:
        key = (root, network, argv)
        if key not in self._bundles:
            bundle = self.workspace.root / self.name / f"bundle-{len(self._bundles)}"
            bundle.mkdir(parents=True)
            mounts = []
            if root is None:
                root = bundle / "rootfs"
                for name in ("proc", "dev", "sys", "tmp"):
                    (root / name).mkdir(parents=True)
                mounts = _host_mounts(root, self.workspace.programs)
            (bundle / "config.json").write_text(json.dumps(_configuration(root, argv, mounts, network)))
            self._bundles[key] = bundle
        return self._bundles[key]

    def run(self, *argv: str, root: Path | None = None, network: str | None = None) -> Command:
        """The command that runs a program on the host's files, or in a root of its own; `network` is the path
        of a network namespace, instead of an empty one."""
        bundle = self._bundle(argv, root, network)
        return (*self.command, "--root", str(self._state), "run", "--bundle", str(bundle), self._id(bundle))

    def _id(self, bundle: Path) -> str:
        return f"kwbench-{os.getpid()}-{self.name}-{bundle.name}"

    @property
    def _state(self) -> Path:
        return self.workspace.root / self.name / "state"

    def clean(self) -> None:
        """Take away what an interrupted run has left."""
        for bundle in self._bundles.values():
            command = [*self.command, "--root", str(self._state), "delete", "--force", self._id(bundle)]
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(command, capture_output=True, check=False, timeout=20)


def in_its_network(runtime: OciRuntime) -> OciRuntime:
    """The same, for programs that use the network namespace which they are given.

    runsc then uses the host's TCP: with its own nobody in the namespace could call the program.
    """
    command = tuple(word.replace("--network=none", "--network=host") for word in runtime.command)
    return OciRuntime(f"{runtime.name}-network", command, runtime.workspace)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """bwrap, with every namespace it makes."""

    name: str = "bwrap"

    def run(self, *argv: str, root: Path, programs: Path | None = None) -> Command:
        """The command that runs a program in a root of its own; `programs` appears at GUEST_PROGRAMS."""
        binds = ["--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
        if programs:
            binds += ["--ro-bind", str(programs), GUEST_PROGRAMS]
        return ("bwrap", "--unshare-all", "--die-with-parent", *binds, *argv)


@dataclass(frozen=True, slots=True)
class Peers:
    """Those that work here; `missing` says why the others do not."""

    crun: OciRuntime | None
    runsc: OciRuntime | None
    bwrap: Bubblewrap | None
    missing: tuple[str, ...]

    def clean(self) -> None:
        """Take away what they have left."""
        for runtime in (self.crun, self.runsc):
            if runtime:
                runtime.clean()


def _missing(name: str, *, needs_root: bool) -> str | None:
    if not shutil.which(name):
        return f"{name}: not installed"
    if needs_root and os.geteuid() != 0:
        return f"{name}: needs root"
    return None


def _try(command: Command) -> str | None:
    try:
        output_of(command)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def find_peers(workspace: Workspace) -> Peers:
    """Look for each, and run it once."""
    crun = OciRuntime("crun", ("crun", "--cgroup-manager=disabled"), workspace)
    runsc = OciRuntime(
        "runsc", ("runsc", "--platform=ptrace", "--network=none", "--ignore-cgroups"), workspace
    )
    bwrap = Bubblewrap()
    root = workspace.busybox_root()
    problems = {}
    for peer in (crun, runsc, bwrap):
        problem = _missing(peer.name, needs_root=peer is not bwrap)
        if not problem and (said := _try(peer.run("/bin/true", root=root))):
            problem = f"{peer.name}: {said}"
        problems[peer.name] = problem
    return Peers(
        crun=None if problems["crun"] else crun,
        runsc=None if problems["runsc"] else runsc,
        bwrap=None if problems["bwrap"] else bwrap,
        missing=tuple(problem for problem in problems.values() if problem),
    )
