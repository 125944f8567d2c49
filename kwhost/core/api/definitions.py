"""Whether an instance that a request describes makes sense by itself. Pure."""

from collections.abc import Iterator

from kwhost.core.errors import UsageError
from kwhost.core.model.addresses import http_address, tcp_address
from kwhost.core.model.definition import Healthcheck, InstanceDefinition, Limits, ProbeKind
from kwhost.core.model.ids import instance_name, tenant_name
from kwhost.core.model.policy import policy_name
from kwhost.core.model.ports import check_port, check_traffic
from kwhost.core.model.tmpfs import by_place, sized
from kwhost.core.model.volume import Volume, volume_name

__all__ = ["check_command", "check_definition", "check_environment"]

# What counts memory, time or processes is a signed 64-bit number further down.
_MOST = 2**62
_LONGEST = 366 * 86_400.0  # seconds, as in the configuration


def check_command(command: tuple[str, ...]) -> None:
    """Raise UsageError for a command that names no program."""
    if not command or not command[0]:
        raise UsageError('command must name a program: for example ["sleep", "60"]')


def check_environment(environment: dict[str, str]) -> None:
    """Raise UsageError for names that no variable can have."""
    for name in environment:
        if not name or "=" in name:
            raise UsageError(f"{name!r} is no name for a variable: it must not be empty, nor have '='")


def _check_path(field: str, path: str) -> None:
    if not path.startswith("/"):
        raise UsageError(f"{field} must be an absolute path, not {path!r}")


def _positive(limits: Limits) -> Iterator[tuple[str, float | None]]:
    yield "limits.memory", limits.memory
    yield "limits.cpus", limits.cpus
    yield "limits.pids", limits.pids
    yield "limits.storage", limits.storage
    yield "limits.memory_headroom", limits.memory_headroom
    for name in ("read_bytes", "write_bytes", "read_operations", "write_operations"):
        yield f"limits.block.{name}", getattr(limits.block, name)


def _check_positive(field: str, value: float | None) -> None:
    if value is not None and not 0 < value < _MOST:
        raise UsageError(f"{field} must be more than 0, and less than 2^62, not {value}")


def _check_health(check: Healthcheck) -> None:
    if not check.target or not check.target[0]:
        raise UsageError("healthcheck.target must say what to run or to ask")
    if check.kind is ProbeKind.HTTP:
        http_address(check.target[0])
    elif check.kind is ProbeKind.TCP:
        tcp_address(check.target[0])
    for name in ("interval", "timeout", "retries"):
        _check_positive(f"healthcheck.{name}", getattr(check, name))
    if not 0 <= check.start_period < _MOST:
        raise UsageError(f"healthcheck.start_period must not be negative, not {check.start_period}")


def _check_volume(field: str, volume: Volume) -> None:
    if volume.is_named:
        volume_name(volume.source)
    else:
        _check_path(f"{field}.source", volume.source)
    _check_path(f"{field}.target", volume.target)
    if not volume.target.strip("/."):
        raise UsageError("a volume cannot be the instance's root; use rootfs for that")


def check_definition(definition: InstanceDefinition) -> None:
    """Raise UsageError with the first thing that is wrong."""
    tenant_name(definition.tenant)
    instance_name(definition.name)
    words = (definition.entrypoint or ()) + definition.command
    if words or definition.image == "host":  # another image may say what to run
        check_command(words)
    check_environment(definition.environment)
    if definition.workdir is not None:
        _check_path("workdir", definition.workdir)
    if definition.rootfs is not None:
        _check_path("rootfs", definition.rootfs)
    for index, volume in enumerate(definition.volumes):
        _check_volume(f"volumes[{index}]", volume)
    for field, value in _positive(definition.limits):
        _check_positive(field, value)
    sized(definition.tmpfs, definition.limits.memory)
    by_place(definition.volumes, definition.tmpfs, has_secrets=bool(definition.secrets))
    for published in definition.ports:
        check_port(published)
    check_traffic(definition.traffic)
    policy_name(definition.policy)
    _check_positive("timeout", definition.timeout)
    if not 0 <= definition.stop_timeout <= _LONGEST:
        raise UsageError(f"stop_timeout must be from 0 to 366 days, not {definition.stop_timeout} s")
    if definition.healthcheck:
        _check_health(definition.healthcheck)
