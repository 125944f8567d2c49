"""Composition root of a command that runs without a daemon: puts an instance together and runs it.

May import: everything below the command line. Imported late by the commands that run something, since
it brings cffi along, and trio once the instance was launched.
"""

import gc
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from kwhost.core.config.host import HostConfig
from kwhost.core.engines import base
from kwhost.core.engines.base import Launched, PolicyFds
from kwhost.core.engines.id_ranges import IdLease, lease_ids
from kwhost.core.engines.kernel_version import check_kernel
from kwhost.core.engines.launch import ceiling_file, policy_file
from kwhost.core.errors import KvmError, UsageError
from kwhost.core.images.image import Image
from kwhost.core.model.instance import Engine, GuestLimits, InstanceSpec, LaunchPlan, TerminalSize
from kwhost.core.model.mounts import MountKind
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.model.rules import PROCESS_RULES
from kwhost.core.operator.signals import hold_signals, release_signals
from kwhost.core.operator.terminal import OperatorTerminal
from kwhost.core.policy.prebuilt import PREBUILT_POLICY
from kwhost.core.policy.tables import INSTANCE_LAYER, RunTable, find_policy, table_of
from kwhost.core.supervise.choosing import advise_without_kvm, choose_engine
from kwhost.core.supervise.driver import Driven, prepare_driven
from kwhost.core.supervise.planning import local_image, plan_instance

if TYPE_CHECKING:
    from kwhost.core.supervise.foreground import Outcome

__all__ = ["run_instance"]


def run_instance(  # noqa: PLR0913 - what there is to say about a run
    spec: InstanceSpec,
    host: HostConfig,
    limits: GuestLimits,
    report: Callable[[str], None],
    *,
    want_statistics: bool,
    policy: str = DEFAULT_POLICY,
    learn: int = -1,
) -> "Outcome":
    """Run one instance to its end in this process. Raises KwhostError where it does not start. `policy`: the
    name of a built-in one, or a policy file; `learn`: memory to note in what the program does, or -1."""
    check_kernel()
    choice = choose_engine(spec.engine, spec.isolation)
    if choice.warning:
        report(choice.warning)
    if choice.engine is Engine.PROCESS:
        _check_limits(limits, report)
        _check_policy(policy)
    terminal = OperatorTerminal.of(0) if spec.terminal and spec.interactive else None
    if spec.terminal and spec.interactive and terminal is None:
        raise UsageError("-i with -t needs a terminal on standard input; leave out -t to feed it from a pipe")
    if terminal:
        _load_watch()  # first: the terminal is raw before the instance writes to it
    table = table_of(policy)
    network = _prepare_network(spec)
    if network.lacking:
        report(network.lacking)
    lease = lease_ids(host.uid_base)
    held = ExitStack()
    try:
        size = terminal.size() if terminal else None
        plan = _plan_root(spec, host, lease, size, held, report)
        plan = replace(
            plan,
            limits=limits,
            mounts=(*plan.mounts, *network.files),
            waits_for_network=network.driver is not None,
        )
        if choice.engine is Engine.PROCESS:
            plan = _without_namespaces(plan, spec, policy, report, learning=learn >= 0)
        hold_signals()
        launched = _launch(_make_engine(choice.engine, lease), plan, spec, table, learn)
        launched = launched._replace(notified_only=choice.engine is Engine.PROCESS)
        watch = _load_watch_for(launched)
        return watch(
            launched,
            timeout=spec.timeout,
            terminal=terminal,
            report=report,
            want_statistics=want_statistics,
            numbering=table.numbering,
            driver=network.driver,
        )
    finally:
        release_signals()
        lease.close()
        held.close()  # the image had to stay as long as the instance


def _plan_root(
    spec: InstanceSpec,
    host: HostConfig,
    lease: IdLease,
    size: TerminalSize | None,
    held: ExitStack,
    report: Callable[[str], None],
) -> LaunchPlan:
    """The instance on its image, with its volumes, which stay until `held` is closed."""
    image = local_image(spec, host.state_dir)
    held.callback(image.close)
    named = _show_volumes(spec, host, image, held)
    if image.mounts[0].kind is MountKind.OVERLAY and image.mounts[0].target == "/":
        from kwhost.core.local_roots import choose_root  # not for the usual `host`

        image = choose_root(host, image, held, report)
    return plan_instance(spec, image, lease.ids, size, named=named)


def _show_volumes(spec: InstanceSpec, host: HostConfig, image: Image, held: ExitStack) -> dict[str, str]:
    """Where the files of its named volumes are until `held` is closed; what is not there is made."""
    if not any(volume.is_named for volume in spec.volumes):
        return {}
    from kwhost.core.local_volumes import show_volumes  # few runs have any

    return show_volumes(spec, host, image, held)


def _without_namespaces(
    plan: LaunchPlan, spec: InstanceSpec, policy: str, report: Callable[[str], None], *, learning: bool
) -> LaunchPlan:
    """The plan for a host that refuses namespaces, which is told, and otherwise the same."""
    from kwhost.core.engines.bare import BARE_WARNING, jail_refused  # most runs do without

    if not (refused := jail_refused()):
        return plan
    from kwhost.core.supervise.bare import plan_bare

    if learning:
        raise UsageError(f"paths cannot be learnt without namespaces, which are refused here ({refused})")
    if policy != DEFAULT_POLICY:
        from kwhost.core.policy.integers import check_integers
        from kwhost.core.policy.model import Layer

        check_integers([Layer(INSTANCE_LAYER, find_policy(policy))], refused)
    unheld = ["pids"] if plan.limits.pids else []
    bare = plan_bare(plan, spec, f"{spec.name}-{os.urandom(8).hex()}", unheld)
    report(BARE_WARNING)
    return bare


def _prepare_network(spec: InstanceSpec) -> Driven:
    if spec.network == "none":
        if spec.ports:
            raise UsageError("publishing ports needs a network: --network tenant")
        return Driven()
    if os.geteuid() == 0:
        raise UsageError("root's instances have networks from a daemon: kwhost up -d starts one")
    return prepare_driven(spec.ports)


def _check_limits(limits: GuestLimits, report: Callable[[str], None]) -> None:
    """There are neither control groups nor monitors."""
    if limits.memory:
        raise UsageError(
            "--memory with the engine 'process' needs control groups, which only a daemon makes: "
            "kwhost up -d starts one"
        )
    if limits.pids:
        report("--pids is approximate: without a daemon, each user of the instance may have that many")


def _check_policy(policy: str) -> None:
    """Raise UsageError for what the engine `process` cannot hold; the prebuilt one it can."""
    if policy == PREBUILT_POLICY:
        return
    from kwhost.core.policy.enforcing import check_enforceable
    from kwhost.core.policy.model import Layer

    check_enforceable("process", PROCESS_RULES, [Layer(INSTANCE_LAYER, find_policy(policy))])


def _make_engine(name: Engine, lease: IdLease) -> base.Engine:
    if name is Engine.PROCESS:
        from kwhost.core.engines.process import ProcessEngine

        return ProcessEngine(lease)
    from kwhost.core.engines.direct import DirectEngine

    return DirectEngine(lease)


def _launch(
    engine: base.Engine, plan: LaunchPlan, spec: InstanceSpec, table: RunTable, learn: int
) -> Launched:
    with ExitStack() as ends:

        def own(fd: int) -> int:
            ends.callback(os.close, fd)
            return fd

        policy = PolicyFds(own(policy_file(table.data)), own(ceiling_file(table.ceiling)), learn)
        secrets = own(_open_secrets(spec)) if spec.secrets else -1
        try:
            return engine.launch(plan, policy, secrets)
        except KvmError as error:
            raise advise_without_kvm(error, spec.engine) from error


def _open_secrets(spec: InstanceSpec) -> int:
    from kwhost.core.config.secret_files import read_secrets  # few runs have any
    from kwhost.core.engines.launch import secrets_file

    return secrets_file(read_secrets(spec.secrets, pipes=True))


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
