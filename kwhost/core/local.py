"""Composition root of a command that runs without a daemon: puts an instance together and runs it.

May import: everything below the command line. Imported late by the commands that run something, since
it brings cffi along, and trio once the instance was launched.
"""

import gc
import os
import resource
from collections.abc import Callable
from typing import TYPE_CHECKING

from kwhost.core.config.host import load_host_config
from kwhost.core.engines.base import Launched
from kwhost.core.engines.direct import DirectEngine
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.engines.kernel_version import check_kernel
from kwhost.core.engines.launch import MONITOR_FDS
from kwhost.core.errors import HostError, KvmError, NotAvailableYet, UsageError
from kwhost.core.images.accounts import resolve_user
from kwhost.core.images.host import host_image
from kwhost.core.images.image import Image
from kwhost.core.images.rootfs import rootfs_image
from kwhost.core.images.volumes import plan_volumes
from kwhost.core.model.ids import IdRange
from kwhost.core.model.instance import (
    Engine,
    Identity,
    InstanceSpec,
    Isolation,
    LaunchPlan,
    TerminalSize,
)
from kwhost.core.supervise.signals import hold_signals, release_signals
from kwhost.core.supervise.terminal import OperatorTerminal

if TYPE_CHECKING:
    from kwhost.core.supervise.foreground import Outcome

__all__ = ["run_instance"]

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# With more, the kernel's table of each process would double in size.
_NOFILE_MAX = 15_104
_NOFILE_MIN = 64


def _check_engine(spec: InstanceSpec) -> None:
    """Refuse what cannot be had; nothing is ever weakened silently."""
    if spec.engine in (Engine.KERNEL, Engine.PROCESS):
        raise NotAvailableYet(f"the engine {spec.engine.value!r}")
    if spec.isolation is Isolation.KERNEL:
        raise NotAvailableYet("the isolation 'kernel', which needs the engine 'kernel',")


def _image(spec: InstanceSpec) -> Image:
    if spec.rootfs is not None:
        return rootfs_image(spec.rootfs)
    if spec.image == "host":
        return host_image(spec.name, read_only=spec.read_only)
    raise NotAvailableYet(f"the image {spec.image!r} (there is 'host', and --rootfs DIR)")


def build_environment(spec: InstanceSpec, identity: Identity) -> dict[str, str]:
    """The program's environment: built, never inherited."""
    environment = {"PATH": _DEFAULT_PATH, "HOME": identity.home, "HOSTNAME": spec.name}
    if spec.terminal:
        environment["TERM"] = os.environ.get("TERM") or "xterm"
    return environment | spec.environment


def descriptor_limit() -> int:
    """How many descriptors the program may have, from this process's own hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = _NOFILE_MAX if hard == resource.RLIM_INFINITY else min(_NOFILE_MAX, hard - MONITOR_FDS)
    if room < _NOFILE_MIN:
        raise HostError(
            f"the hard limit of {hard} open files is too low: the monitor keeps {MONITOR_FDS} for itself; "
            f"raise it to {MONITOR_FDS + 1024} or more (ulimit -Hn)"
        )
    return room


def plan_instance(spec: InstanceSpec, ids: IdRange, size: TerminalSize | None) -> LaunchPlan:
    """Everything about the instance, decided."""
    image = _image(spec)
    identity = resolve_user(image.accounts, spec.user, ids.size)
    if not spec.workdir.startswith("/"):
        raise UsageError(f"the working directory must be absolute, not {spec.workdir!r}")
    return LaunchPlan(
        name=spec.name,
        argv=spec.argv,
        environment=build_environment(spec, identity),
        workdir=spec.workdir,
        identity=identity,
        ids=ids,
        mounts=image.mounts + plan_volumes(spec.volumes),
        nofile=descriptor_limit(),
        interactive=spec.interactive,
        terminal=(size or TerminalSize()) if spec.terminal else None,
        init=spec.init,
        read_only=spec.read_only,
        rootless=os.geteuid() != 0,
    )


def run_instance(spec: InstanceSpec, report: Callable[[str], None], *, want_statistics: bool) -> "Outcome":
    """Run one instance to its end in this process. Raises KwhostError where it does not start."""
    check_kernel()
    _check_engine(spec)
    config = load_host_config()
    terminal = OperatorTerminal.of(0) if spec.terminal and spec.interactive else None
    if spec.terminal and spec.interactive and terminal is None:
        raise UsageError("-i with -t needs a terminal on standard input; leave out -t to feed it from a pipe")
    if terminal:
        _load_watch()  # first: the terminal is raw before the instance writes to it
    lease = lease_ids(config.uid_base)
    try:
        plan = plan_instance(spec, lease.ids, terminal.size() if terminal else None)
        hold_signals()
        launched = _launch(DirectEngine(lease), plan, spec)
        watch = _load_watch_for(launched)
        return watch(
            launched, timeout=spec.timeout, terminal=terminal, report=report, want_statistics=want_statistics
        )
    finally:
        release_signals()
        lease.close()


def _launch(engine: DirectEngine, plan: LaunchPlan, spec: InstanceSpec) -> Launched:
    try:
        return engine.launch(plan)
    except KvmError as error:
        if spec.isolation is Isolation.PROCESS and spec.engine is Engine.AUTO:
            text = f"{error}; the engine 'process', which works without, is not available yet"
            raise KvmError(text) from error
        raise


def _load_watch() -> Callable[..., "Outcome"]:
    """Load trio and what uses it."""
    from kwhost.core.supervise.foreground import watch_launched

    gc.freeze()
    gc.enable()
    return watch_launched


def _load_watch_for(launched: Launched) -> Callable[..., "Outcome"]:
    """Loading takes longer than an instance needs to start, so it is done meanwhile."""
    try:
        return _load_watch()
    except BaseException:
        launched.abandon()
        raise
