"""The database file: how it is opened, checked and brought up to date, and what its errors mean.

Records are JSON (msgspec) beside the keys by which they are found. In WAL mode with synchronous=NORMAL, what
was committed survives the end of the process in every way; a crash of the host may cost the last
transactions, never the file.
"""

import os
import sqlite3
from pathlib import Path

from kwhost.core.errors import StoreError

__all__ = ["DATABASE", "open_database", "store_error"]

# The file's name in the state directory.
DATABASE = "kwhost.db"

_APPLICATION_ID = 0x6B77_6462  # "kwdb"
# Somebody may look into the file with other tools; they have this long.
_BUSY_SECONDS = 5.0

# The file's version is how many of these it has seen. Only ever append: each is a transaction of its own.
_MIGRATIONS = (
    f"""
    CREATE TABLE instances (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- AUTOINCREMENT: a number is never given twice, even when all events were removed.
    CREATE TABLE events
        (seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT, instance TEXT, record TEXT NOT NULL) STRICT;
    CREATE TABLE audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL) STRICT;
    CREATE TABLE exits
        (instance TEXT, number INTEGER, record TEXT NOT NULL, PRIMARY KEY (instance, number))
        STRICT, WITHOUT ROWID;
    PRAGMA application_id = {_APPLICATION_ID};
    """,
    "CREATE TABLE answers (number INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL) STRICT",
)

_DAMAGED = (
    "is damaged or no database; kwhost does not touch it. Restore a copy, or repair it "
    "(sqlite3 FILE .recover), or move it away, which forgets all instances and events"
)
_MEANINGS = {
    sqlite3.SQLITE_FULL: "cannot be written: its disk is full; free some space",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "is in use: end the program that holds it open, and try again",
    sqlite3.SQLITE_READONLY: "cannot be written: check its permissions and the mount",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check the directory's permissions and free space",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check the disk, its free space and file size limits",
}


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """The line that says what to do about an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0)
    meaning = _MEANINGS.get(code & 0xFF, "cannot be used")
    return StoreError(f"{path} {meaning} ({error})")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    assert isinstance(value, int)
    return value


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version; refuses what is not kwhost's, newer than this version, or damaged."""
    version = _number(connection, "user_version")
    foreign = (
        _number(connection, "schema_version") and _number(connection, "application_id") != _APPLICATION_ID
    )
    if foreign:
        raise StoreError(f"{path} is the database of another program; choose another host.state_dir")
    if version > len(_MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer kwhost (version {version} of the file, this one knows "
            f"{len(_MIGRATIONS)}): install that version, or choose another host.state_dir"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"{path} {_DAMAGED} ({' '.join(verdict.split())})")
    return version


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {number}; COMMIT;")


def _create_private(path: Path) -> None:
    """Definitions hold secrets of tenants; SQLite gives its other files the mode of this one."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, making it where there is none. The connection may move between threads, one at a time.

    Raises StoreError.
    """
    _create_private(path)
    connection = sqlite3.connect(path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        version = _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        _migrate(connection, version)
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection
