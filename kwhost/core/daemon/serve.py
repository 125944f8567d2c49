"""The daemon from its start to its end."""

import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import trio

from kwhost.core.api.dispatch import Dispatcher
from kwhost.core.api.server import ApiServer, listen_api
from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.config.configuration import Configuration
from kwhost.core.config.host import HostConfig
from kwhost.core.daemon.hosting import DaemonHosting
from kwhost.core.daemon.lock import hold_state
from kwhost.core.daemon.networks import DaemonNetworks
from kwhost.core.daemon.notify import notify_service_manager
from kwhost.core.daemon.output import log_event, set_up_log
from kwhost.core.daemon.policies import DaemonPolicies
from kwhost.core.daemon.storages import storage_kinds
from kwhost.core.engines.base import Engine
from kwhost.core.engines.id_ranges import IdLease, lease_ids
from kwhost.core.engines.kernel_version import check_kernel
from kwhost.core.engines.shared_ids import SharedRanges
from kwhost.core.errors import HostError, KwhostError, StoreError, UsageError
from kwhost.core.images.accounts import Accounts, read_accounts
from kwhost.core.images.image import Image
from kwhost.core.images.service import Images
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.instance import InstanceSpec
from kwhost.core.model.volume import AUTO_STORAGE
from kwhost.core.pluginmgr.discovery import Selection
from kwhost.core.pluginmgr.loading import load_plugins
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.core.policy.configured import configured_policies
from kwhost.core.storage.kinds import StorageKind
from kwhost.core.storage.overlays import Overlays
from kwhost.core.storage.private_images import PrivateImages
from kwhost.core.storage.root_copies import RootCopies
from kwhost.core.storage.upper_disks import UpperDisks
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.store.database import Store
from kwhost.core.store.schema import DATABASE
from kwhost.core.supervise.images import HostedImages
from kwhost.core.supervise.journal import Journal
from kwhost.core.supervise.private_images import HostedPrivateImages
from kwhost.core.supervise.questions import Questions
from kwhost.core.supervise.remembered import RememberedAnswers
from kwhost.core.supervise.roots import HostedRoots
from kwhost.core.supervise.secrets import SecretStore
from kwhost.core.supervise.surroundings import Surroundings
from kwhost.core.supervise.volumes import HostedVolumes
from kwhost.hookspecs import ImageRequest

__all__ = ["run_daemon"]

# What a killed daemon was about to start holds its lock for a moment, until it is what it is to be.
_LOCK_SECONDS = 1.0
# A daemon's start is an event, and more questions than this come with events of their own. So the numbers of
# its questions begin behind all that were told before, whatever became of the daemon that told them.
_QUESTIONS_PER_EVENT = 1000


class _Daemon:
    def __init__(
        self, configuration: Configuration, ready: Callable[[], None], log_file: Path | None
    ) -> None:
        self._configuration = configuration
        self._ready = ready
        self._ranges = SharedRanges(configuration.host.uid_base)
        self._log = set_up_log(configuration.host.log_level, log_file)

    def _make_directories(self) -> None:
        host = self._configuration.host
        for directory, mode in ((host.state_dir, 0o700), (host.run_dir, 0o755)):
            try:
                directory.mkdir(mode=mode, parents=True, exist_ok=True)
            except OSError as error:
                raise HostError(f"cannot make the directory {directory}: {error.strerror}") from error

    async def run(self) -> None:
        host = self._configuration.host
        check_kernel()
        _allow_descriptors()
        _leave_no_memory()
        self._make_directories()
        with ExitStack() as held:
            held.enter_context(hold_state(host.state_dir, _LOCK_SECONDS))
            selection = Selection(
                load=host.plugins,
                blocked=frozenset(host.block_plugins),
                required=frozenset(host.require_plugins),
            )
            plugins = Plugins(load_plugins(selection, self._log.warning), self._log.warning, self._log.info)
            cgroups = Cgroups.open(host.state_dir)
            held.callback(cgroups.close)
            held.callback(self._ranges.close)
            listener = listen_api(host.api)
            held.callback(host.api.unlink, missing_ok=True)
            store = await Store.open(host.state_dir / DATABASE)
            try:
                await self._host(plugins, cgroups, store, listener)
            finally:
                await store.aclose()

    async def _host(self, plugins: Plugins, cgroups: Cgroups, store: Store, listener: socket.socket) -> None:
        host = self._configuration.host
        journal = Journal(store, self._log.warning)
        journal.last = await store.last_event()
        policies = DaemonPolicies(configured_policies(self._configuration), plugins)
        remembered = RememberedAnswers(store)
        await remembered.load()
        questions = Questions(
            remembered,
            policies.ask,
            policies.decided,
            store.append_audit,
            first=journal.last * _QUESTIONS_PER_EVENT + 1,
        )
        networks = DaemonNetworks(
            host,
            plugins.networks,
            plugins.network_uplinks,
            partial(_tap_queues, plugins),
            partial(journal.tell, EventKind.NOTICE),
        )
        around = Surroundings(
            run_dir=host.run_dir,
            state_dir=host.state_dir,
            uid_base=host.uid_base,
            log=host.log,
            journal=journal,
            cgroups=cgroups,
            engine=partial(_make_engine, plugins),
            image=partial(_find_image, plugins, host.state_dir),
            policies=policies,
            questions=questions,
            networks=networks,
            volumes=_volumes(plugins, host, journal, self._ranges),
            secrets=SecretStore(host.run_dir),
            images=HostedImages(Images(host.state_dir, partial(lease_ids, host.uid_base))),
            roots=_roots(host, partial(journal.tell, EventKind.NOTICE)),
        )
        hosting = DaemonHosting(around, self._configuration, plugins, policies, networks)
        hosting.configure_plugins(self._configuration)
        journal.listen = partial(_tell, plugins)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(hosting.run)
                await nursery.start(plugins.serve, hosting)
                await journal.tell(EventKind.DAEMON_STARTED, f"process {os.getpid()}")
                await hosting.recover(await store.instances())
                await hosting.apply(self._configuration)
                hosting.start_wanted()
                nursery.start_soon(self._serve_api, listener, hosting, store)
                nursery.start_soon(self._obey, hosting, signals)
                self._ready()
                notify_service_manager("READY=1")
                await hosting.stopped.wait()
                notify_service_manager("STOPPING=1")
                await journal.tell(EventKind.DAEMON_STOPPED)
                with suppress(StoreError):  # it has been reported
                    await journal.settle()
                nursery.cancel_scope.cancel()

    async def _serve_api(self, listener: socket.socket, hosting: DaemonHosting, store: Store) -> None:
        def report(error: Exception) -> None:
            self._log.error("internal error in a request: %s: %s", type(error).__name__, error)

        await ApiServer(Dispatcher(hosting, store.append_audit, report)).serve(listener)

    async def _obey(self, hosting: DaemonHosting, signals: AsyncIterator[int]) -> None:
        """SIGTERM ends the daemon alone, SIGINT everything, SIGHUP reloads."""
        async for number in signals:
            if number == signal.SIGHUP:
                hosting.spawn(self._reload, hosting)
            else:
                await hosting.shutdown(stop_instances=number == signal.SIGINT)

    async def _reload(self, hosting: DaemonHosting) -> None:
        try:
            await hosting.reload()
        except KwhostError as error:
            self._log.error("%s", error)


def _allow_descriptors() -> None:
    """Each instance needs a few: as many as this process may have at all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _leave_no_memory() -> None:
    """Secrets pass through it: what is left of a crash has nothing of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _tell(plugins: Plugins, event: Event) -> None:
    log_event(event)
    plugins.notify(event)


def _make_engine(plugins: Plugins, name: str, lease: IdLease) -> Engine:
    offers = plugins.engines()
    if name not in offers:
        raise UsageError(f"there is no engine {name!r}; there are {', '.join(sorted(offers))}")
    return offers[name].factory(lease)  # type: ignore[no-any-return] # checked when it was offered


def _tap_queues(plugins: Plugins, engine: str) -> int | None:
    offer = plugins.engines().get(engine)
    return offer.tap_queues if offer else None


def _volumes(plugins: Plugins, host: HostConfig, journal: Journal, ranges: SharedRanges) -> HostedVolumes:
    return HostedVolumes(
        VolumeStore(host.state_dir, host.run_dir, _storages(plugins, host), host.volume_storage, ranges),
        partial(journal.tell, EventKind.NOTICE),
    )


def _storages(plugins: Plugins, host: HostConfig) -> dict[str, StorageKind]:
    kinds = storage_kinds(plugins.storages())
    if host.volume_storage not in (AUTO_STORAGE, *kinds):
        raise UsageError(
            f"volume_storage is {host.volume_storage!r}, and there is no such storage; "
            f"there are {', '.join(sorted(kinds))}"
        )
    return kinds


def _roots(host: HostConfig, tell: Callable[[str], Awaitable[None]]) -> HostedRoots:
    ids = partial(lease_ids, host.uid_base)
    disks = UpperDisks(host.state_dir, host.run_dir)
    copies = RootCopies(host.state_dir, ids)
    private = HostedPrivateImages(PrivateImages(host.state_dir, ids), Images(host.state_dir, ids))
    return HostedRoots(host.root_storage, Overlays(host.run_dir), disks, copies, private, tell)


async def _find_image(plugins: Plugins, state_dir: Path, spec: InstanceSpec, digest: str) -> Image:
    if spec.rootfs is None and spec.image.partition(":")[0] == "rootfs":
        # What a tenant's users may bind holds for the field `rootfs`; there is no way around it.
        raise UsageError(f"{spec.image!r} is no image: give a directory as rootfs, without an image")
    assert spec.tenant
    request = ImageRequest(
        reference=f"rootfs:{spec.rootfs}" if spec.rootfs is not None else spec.image,
        instance=spec.name,
        tenant=spec.tenant,
        read_only=spec.read_only,
        state_dir=state_dir,
        digest=digest,
    )
    plan = await plugins.plan_image(request)
    image = Image(plan.mounts, Accounts(), plan.settings, plan.digest, plan.pin)
    try:
        accounts = await trio.to_thread.run_sync(read_accounts, plan.accounts_root)
    except BaseException:
        image.close()
        raise
    return image._replace(accounts=accounts)


def run_daemon(configuration: Configuration, ready: Callable[[], None], log_file: Path | None = None) -> None:
    """Host a configuration until told to end; `ready` is called once the API answers. What it says of itself
    goes to `log_file`, None: standard error. Raises KwhostError."""
    trio.run(_Daemon(configuration, ready, log_file).run)
