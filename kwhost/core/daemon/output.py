"""What the daemon says of itself: lines on standard error, or in a bounded log file."""

import logging
import logging.handlers
import sys
from pathlib import Path

from kwhost.core.config.host import LogLevel
from kwhost.core.errors import HostError
from kwhost.core.model.events import Event, EventKind

__all__ = ["log_event", "set_up_log"]

_SIZE = 10 * 1024 * 1024
_FILES = 3
_LOG = logging.getLogger("kwhost")
_BAD = (EventKind.FAILED, EventKind.UNHEALTHY, EventKind.CRASH_LOOP, EventKind.NOTICE, EventKind.PLUGIN)


def set_up_log(level: LogLevel, file: Path | None) -> logging.Logger:
    """Direct everything to `file`, or to standard error. Raises HostError."""
    try:
        handler: logging.Handler = (
            logging.handlers.RotatingFileHandler(file, maxBytes=_SIZE, backupCount=_FILES - 1)
            if file
            else logging.StreamHandler(sys.stderr)
        )
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}") from error
    stamped = "%(asctime)s %(levelname)s %(message)s" if file else "kwhost: %(message)s"
    handler.setFormatter(logging.Formatter(stamped))
    _LOG.handlers = [handler]
    _LOG.setLevel(level.value.upper())
    _LOG.propagate = False
    logging.raiseExceptions = False  # a full disk is no reason to end
    return _LOG


def log_event(event: Event) -> None:
    """One line for an event; those that an operator should see are warnings."""
    who = f"{event.tenant}/{event.name}: " if event.instance else ""
    text = f"{who}{event.kind.value}" + (f": {event.text}" if event.text else "")
    _LOG.log(logging.WARNING if event.kind in _BAD else logging.INFO, "%s", text)
