"""What an image's configuration says about running it, checked. Pure."""

import math
import posixpath
import re
import signal

from kwhost.core.errors import ImageError
from kwhost.core.images.documents import Configuration, Process
from kwhost.core.model.healthcheck import Healthcheck, ProbeKind
from kwhost.core.model.image import ImageSettings

__all__ = ["settings_of"]

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(?:tcp|udp|sctp))?")
_SECOND = 1_000_000_000
_VOLUMES_MAX = 16
_TEXT_MAX = 256 * 1024
_LONGEST = 366 * 86_400.0


def _no_nul(texts: list[str]) -> tuple[str, ...]:
    if any("\0" in text for text in texts):
        raise ImageError("the image's configuration has a text with a NUL character")
    return tuple(texts)


def _environment(lines: list[str]) -> dict[str, str]:
    variables = {}
    for line in _no_nul(lines):
        name, _, value = line.partition("=")
        if name:
            variables[name] = value
    return variables


def _stop_signal(text: str) -> int | None:
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 64:
        return int(text)
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"RTMIN(\+[0-9]{1,2})?", name):
        return min(signal.SIGRTMIN + int(name.partition("+")[2] or 0), signal.SIGRTMAX)
    if re.fullmatch(r"RTMAX(-[0-9]{1,2})?", name):
        return max(signal.SIGRTMAX - int(name.partition("-")[2] or 0), signal.SIGRTMIN)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise ImageError(f"the image's stop signal {text[:40]!r} is none") from None


def _seconds(nanoseconds: int | None, default: float) -> float:
    """0 and nothing mean the default, as in Docker. Checks in less than a second would be others' cost."""
    if not nanoseconds or nanoseconds < 0:
        return default
    return min(max(math.ceil(nanoseconds / _SECOND * 1000) / 1000, 1.0), _LONGEST)


def _healthcheck(configuration: Configuration) -> Healthcheck | None:
    check = configuration.config.healthcheck if configuration.config else None
    kind, *words = _no_nul((check and check.test) or ["NONE"])
    if check is None or kind not in ("CMD", "CMD-SHELL") or not words:
        return None
    return Healthcheck(
        kind=ProbeKind.COMMAND,
        target=tuple(words) if kind == "CMD" else ("/bin/sh", "-c", words[0]),
        interval=_seconds(check.interval, 30.0),
        timeout=_seconds(check.timeout, 30.0),
        start_period=_seconds(check.start_period, 0.0),
        retries=check.retries if check.retries and 0 < check.retries < 1000 else 3,
    )


def _volumes(paths: list[str]) -> tuple[str, ...]:
    if len(paths) > _VOLUMES_MAX:
        raise ImageError(f"the image has {len(paths)} volumes; {_VOLUMES_MAX} are taken")
    normal = {"/" + posixpath.normpath(path).lstrip("/") for path in _no_nul(paths)}
    if "/" in normal or not all(path.startswith("/") for path in paths):
        raise ImageError(f"the image has volumes at {', '.join(paths)[:100]!r}, which cannot be")
    return tuple(sorted(normal))


def _can_be_exposed(text: str) -> bool:
    """Whether it is a port, or a range of them; what is not is passed over."""
    found = _PORT.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= int(found[2] or found[1]) <= 65_535


def _check_length(process: Process) -> None:
    """Every start reads it, and every collection."""
    check = process.healthcheck.test if process.healthcheck else None
    texts = (process.env, process.entrypoint, process.cmd, check, process.exposed_ports, process.volumes)
    if sum(len(text) for words in texts for text in words or ()) > _TEXT_MAX:
        raise ImageError(f"the image says more than {_TEXT_MAX} characters about how it is run")


def settings_of(configuration: Configuration) -> ImageSettings:
    """Raises ImageError for what cannot be meant."""
    process = configuration.config
    if process is None:
        return ImageSettings()
    _check_length(process)
    workdir = process.working_dir or "/"
    if "\0" in workdir:
        raise ImageError("the image's working directory has a NUL character")
    return ImageSettings(
        entrypoint=_no_nul(process.entrypoint or []),
        command=_no_nul(process.cmd or []),
        environment=_environment(process.env or []),
        workdir=posixpath.normpath("/" + workdir.lstrip("/")),
        user=_no_nul([process.user])[0] if process.user else None,
        stop_signal=_stop_signal(process.stop_signal or ""),
        healthcheck=_healthcheck(configuration),
        volumes=_volumes(list(process.volumes or {})),
        ports=tuple(sorted(filter(_can_be_exposed, process.exposed_ports or {}))),
    )
