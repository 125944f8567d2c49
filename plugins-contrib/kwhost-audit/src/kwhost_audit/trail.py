"""The log as it is written: nothing that happens to the disk holds the daemon up or ends the log."""

import threading
import time
from collections.abc import Callable, Mapping

from kwhost_audit.chain import BEGIN, Head, next_line
from kwhost_audit.configuration import Configuration, Flush
from kwhost_audit.files import OpenFile, head_of, open_log, rotate, rotated, sync_directory
from kwhost_audit.schema import lost_fields, repaired_fields

__all__ = ["Trail"]


class Trail:
    """Appends lines. What cannot be written is counted, said once through `report`, and told by a line as
    soon as there can be one. May be used from several threads."""

    def __init__(self, configuration: Configuration, report: Callable[[str], None]) -> None:
        self._configuration = configuration
        self._path = configuration.file
        self._report = report
        self._lock = threading.Lock()
        self._file: OpenFile | None = None
        self._head: Head | None = None
        self._unsynced = False
        self._sync_fails = False
        self._lost = 0
        self._lost_since = 0.0
        self._write_error = ""

    def add(self, fields: Mapping[str, object]) -> None:
        """Write a line, or count it as lost."""
        with self._lock:
            try:
                self._make_ready()
                self._append(fields)
            except OSError as error:
                self._lost_since = self._lost_since if self._lost else time.time()
                self._lost += 1
                self._fail(error)

    def tend(self) -> None:
        """To be called now and then: bring lines to the disk, and try again where that was impossible."""
        with self._lock:
            try:
                self._make_ready()
            except OSError as error:
                self._fail(error)
            if self._configuration.fsync is not Flush.NONE:
                self._sync()

    def close(self) -> None:
        """Bring all to the disk and let go of the file."""
        with self._lock:
            self._let_go()

    def _make_ready(self) -> None:
        """Have the file that is at the path now, with a line about what was lost. Raises OSError."""
        if self._file and not self._file.is_at(self._path):
            self._let_go()  # somebody else rotates, too
        if self._file is None:
            self._open()
        if self._lost:
            self._append(lost_fields(time.time(), self._lost, self._lost_since, self._write_error))
        if self._write_error:
            self._report(f"{self._path} can be written again; {self._lost} decisions were lost")
            self._lost, self._write_error = 0, ""

    def _open(self) -> None:
        file = open_log(self._path)
        try:
            torn = file.cut_torn_line()
            if self._head is None:
                self._head = head_of(self._path) or head_of(rotated(self._path, 1)) or BEGIN
            if file.size == 0:
                sync_directory(self._path)
        except BaseException:
            file.close()
            raise
        self._file = file
        if torn:
            self._append(repaired_fields(time.time(), torn))

    def _append(self, fields: Mapping[str, object]) -> None:
        """Write a line. Raises OSError."""
        assert self._head
        line, head = next_line(self._head, fields)
        if self._file and self._file.size and self._file.size + len(line) > self._configuration.size_bytes:
            self._let_go()
            rotate(self._path, self._configuration.keep)
            self._open()
        assert self._file
        self._file.append(line)
        self._head = head
        self._unsynced = True
        if self._configuration.fsync is Flush.EACH:
            self._sync()

    def _sync(self) -> None:
        """Lines whose way to the disk fails may be there or not: that is said, and they are not lost."""
        if not (self._file and self._unsynced):
            return
        self._unsynced = False  # a kernel that failed to write does not try again
        try:
            self._file.sync()
            self._sync_fails = False
        except OSError as error:
            if not self._sync_fails:
                self._report(f"cannot bring {self._path} to the disk: {error.strerror}")
            self._sync_fails = True

    def _let_go(self) -> None:
        """Close the file: what comes next opens it, and repairs it if need be."""
        self._sync()
        if self._file:
            self._file.close()
        self._file = None

    def _fail(self, error: OSError) -> None:
        self._let_go()
        if not self._write_error:
            self._report(
                f"cannot write {self._path}: {error.strerror}; decisions are lost until that is mended"
            )
        self._write_error = str(error.strerror)
