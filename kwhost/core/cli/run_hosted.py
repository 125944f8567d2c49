"""`kwhost run` as a client of the daemon."""

import os
from argparse import Namespace
from base64 import b64encode
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwhost.core.cli.connection import connect, instance_path
from kwhost.core.cli.conversation import Wish, converse, wish
from kwhost.core.cli.diagnostics import notice
from kwhost.core.cli.exposed import ask_exposed, publish_exposed
from kwhost.core.cli.results import show_result
from kwhost.core.cli.tables import clean
from kwhost.core.errors import KwhostError, NotFound, UsageError
from kwhost.core.model.floors import check_engine, engine_label
from kwhost.core.model.ids import DEFAULT_TENANT
from kwhost.core.model.instance import Engine, InstanceSpec, Isolation
from kwhost.core.model.network import PublishedPort
from kwhost.core.model.policy import policy_name

if TYPE_CHECKING:
    from kwhost.core.api.client import Client

__all__ = ["define", "run_hosted"]


def define(spec: InstanceSpec, options: Namespace) -> dict[str, Any]:
    """The instance's definition, as the API takes it. What is the operator's own is settled here: paths
    relative to this directory, and the kind of terminal."""
    environment = dict(spec.environment)
    if spec.terminal:
        environment.setdefault("TERM", os.environ.get("TERM") or "xterm")
    return {
        "tenant": options.tenant or DEFAULT_TENANT,
        "name": spec.name,
        "command": spec.argv,
        "image": spec.image,
        "rootfs": os.path.abspath(spec.rootfs) if spec.rootfs is not None else None,
        "entrypoint": spec.entrypoint,
        "engine": _engine(spec.engine, options.isolation),
        "environment": environment,
        "workdir": spec.workdir,
        "user": spec.user,
        "limits": {name: getattr(options, name) for name in ("memory", "cpus", "pids", "storage")},
        "changes": options.changes,
        "volumes": [
            {
                "source": volume.source if volume.is_named else os.path.abspath(volume.source),
                "target": volume.target,
                "read_only": volume.read_only,
            }
            for volume in spec.volumes
        ],
        "tmpfs": [asdict(each) for each in spec.tmpfs],
        "secret_contents": _read_secrets(spec),
        "network": options.network,
        "ports": [_port(published) for published in options.publish],
        "init": spec.init,
        "read_only": spec.read_only,
        "interactive": spec.interactive,
        "terminal": spec.terminal,
        "restart": options.restart,
        "timeout": spec.timeout,
        **_policy(options.policy),
        "auto_remove": options.rm and options.detach,
    }


def _read_secrets(spec: InstanceSpec) -> dict[str, str]:
    """What only who asks may read: the daemon opens no file that a tenant's user names."""
    if not spec.secrets:
        return {}
    from kwhost.core.config.secret_files import read_secrets  # few runs have any

    contents = read_secrets(spec.secrets, pipes=True)
    return {name: b64encode(content).decode() for name, content in contents.items()}


def _engine(asked: Engine, floor: str | None) -> str:
    """What is asked for here holds besides the tenant's isolation: `auto` with the floor `vm` is `direct`."""
    if floor is None:
        return asked.value
    check_engine(asked, Isolation(floor))
    vm = asked is Engine.AUTO and floor == Isolation.VM.value
    return (Engine.DIRECT if vm else asked).value


def _port(published: PublishedPort) -> dict[str, Any]:
    return {
        "address": published.address,
        "port": published.port,
        "target": published.target,
        "transport": published.transport.value,
    }


def _policy(policy: str) -> dict[str, str]:
    """A policy by its name, or the text of a file, which the daemon reads: its own policies may be bases."""
    if "/" not in policy and not policy.endswith(".toml"):
        return {"policy": policy}
    file = Path(policy)
    try:
        return {"policy": policy_name(file.stem), "policy_text": file.read_text(encoding="utf-8")}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the policy file {policy}: {error}") from error


def run_hosted(spec: InstanceSpec, options: Namespace) -> int:
    """Run it; returns the exit status."""
    client = connect(options.host)
    if options.publish_all:
        exposed = ask_exposed(client, spec, options.tenant or DEFAULT_TENANT)
        options.publish = publish_exposed(exposed, options.publish)
    if options.detach:
        status = client.request("POST", "/v1/instances", {"start": True}, define(spec, options))
        _warn(spec, status)
        show_result(f"{status['id']}\n")
        return 0
    wanted = wish(interactive=spec.interactive, tty=spec.terminal)
    status = client.request("POST", "/v1/instances", body=define(spec, options))
    _warn(spec, status)
    instance = status["id"]
    result = _start(client, instance, wanted)
    if result is None:
        notice(f"{spec.name} goes on; kwhost attach {spec.name} comes back to it")
        return 0
    _tell_end(client, instance, want_statistics=options.stats)
    if options.rm:
        _remove(client, instance)
    return result


def _warn(spec: InstanceSpec, status: dict[str, Any]) -> None:
    """Where nobody asked for the weaker engine by its name."""
    if spec.engine is Engine.AUTO and status["isolation"] == Isolation.PROCESS.value:
        engine = engine_label(status["engine"], status["isolation"])
        notice(f"without KVM on this host the engine is {engine}, which its tenant's isolation allows")


def _start(client: "Client", instance: str, wanted: Wish) -> int | None:
    """Start it with its streams connected; an instance that does not start is not kept."""
    query = {"start": True, "stdin": wanted.stdin}
    try:
        stream = client.upgrade(instance_path(instance, "attach"), query)
    except BaseException:
        with suppress(KwhostError):  # why it did not start is worth more than this
            _remove(client, instance)
        raise
    return converse(stream, wanted)


def _remove(client: "Client", instance: str) -> None:
    with suppress(NotFound):  # somebody else was faster
        client.request("DELETE", instance_path(instance), {"force": True})


def _tell_end(client: "Client", instance: str, *, want_statistics: bool) -> None:
    """What more there is to say about it."""
    try:
        message = client.request("GET", instance_path(instance))["message"]
        if message:
            notice(clean(message))
        counted = client.request("GET", instance_path(instance, "stats"))["counted"]
        if want_statistics and counted:
            from kwhost.core.cli.statistics import show_statistics, statistics_of

            show_statistics(statistics_of(counted))
    except KwhostError as error:  # the program's exit status is worth more than this
        notice(f"nothing is known about the end: {error}")
