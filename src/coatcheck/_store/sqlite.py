"""SQLite, the default: one file, 0600, in the user's state folder.

Invariants:

- write-ahead logging (https://www.sqlite.org/wal.html), except on network file systems, where its shared memory does not
  work;
- a writer waits for another one at most `busy_seconds`, in short steps, so that Ctrl-C ends the wait at once;
- a file that was moved away or deleted is not written any more: the next transaction opens the one that is there;
- a transaction that writes begins with ``BEGIN IMMEDIATE``: it never fails half-way because another one has written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from .. import errors
from .._files.mounts import is_on_network
from .._files.private import create_private_file, make_private_folder
from .database import Database, Transaction, UniqueError

if TYPE_CHECKING:
    import sqlite3

FILE = "coatcheck.sqlite3"
# The first version with RETURNING (https://www.sqlite.org/lang_returning.html).
OLDEST = (3, 35, 0)
# A writer waits so long for another (seconds); each write takes milliseconds. SQLite itself waits for one step.
BUSY_SECONDS = 10.0
BUSY_STEP = 0.05
# With SQLite's default of 4096 a task takes a tenth more: rows with messages fill such pages badly (bench/history.py).
PAGE_SIZE = 8192

# The least size of such an index (https://www.sqlite.org/walformat.html#the_wal_index_file_format).
WAL_INDEX_SIZE = 32_768

ANOTHER_FOLDER = "set COATCHECK_STATE_HOME to a folder that you can write"
MOVE_AWAY = "move the file away, then try again: mv {path} {path}.corrupt"
IO_ERROR, FULL = 10, 13
# Primary result codes (https://www.sqlite.org/rescode.html): what to do about each.
REMEDIES = {
    1: MOVE_AWAY,  # SQLITE_ERROR: a table or a column is not as our statements have it
    3: ANOTHER_FOLDER,  # SQLITE_PERM
    5: "another program holds it: end that program, or try again",  # SQLITE_BUSY
    6: "another program holds it: end that program, or try again",  # SQLITE_LOCKED
    8: ANOTHER_FOLDER,  # SQLITE_READONLY
    IO_ERROR: "check the disk; dmesg shows its errors",
    11: MOVE_AWAY,  # SQLITE_CORRUPT
    FULL: "free space on its disk",
    14: ANOTHER_FOLDER,  # SQLITE_CANTOPEN
    26: MOVE_AWAY,  # SQLITE_NOTADB
}


class SqliteDatabase(Database):
    """The database in the file *path*, which is created with its folder when it is needed."""

    dialect: ClassVar[str] = "sqlite"

    def __init__(
        self, path: str, *, prepare: Callable[[Transaction], None], busy_seconds: float = BUSY_SECONDS
    ) -> None:
        super().__init__(path, prepare=prepare)
        self._busy_seconds = busy_seconds
        self._file: tuple[int, int] | None = None
        # Whether the present connection waits for the disk at the end of a transaction.
        self._is_durable: bool | None = None

    def connect(self) -> sqlite3.Connection:
        """Open the file."""
        import sqlite3  # 4 ms, and few commands need it

        if sqlite3.sqlite_version_info < OLDEST:
            raise errors.StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old for the store, which needs 3.35",
                location=self.location,
                remedy="use a Python with a newer SQLite, or set COATCHECK_DATABASE to a PostgreSQL URL",
            )
        folder = os.path.dirname(self.location)
        make_private_folder(folder)
        create_private_file(self.location)
        self._file = _file_at(self.location)
        connection = sqlite3.connect(self.location, timeout=BUSY_STEP, isolation_level=None, check_same_thread=False)
        try:
            self._patiently(lambda: _configure(connection, has_wal=not is_on_network(folder)))
        except BaseException:
            connection.close()
            raise
        self._is_durable = None
        return connection

    def is_usable(self, connection: sqlite3.Connection) -> bool:  # noqa: ARG002 - it has no file of its own to ask
        """Whether the file is the one that was opened, and was not moved away or deleted meanwhile."""
        return self._file is None or self._file == _file_at(self.location)

    def begin(self, connection: sqlite3.Connection, *, is_durable: bool) -> None:
        """Begin a transaction that writes."""
        if is_durable is not self._is_durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self._is_durable = is_durable
        self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))

    def begin_reading(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that only reads."""
        connection.execute("BEGIN")

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit the transaction."""
        self._patiently(lambda: connection.execute("COMMIT"))

    def roll_back(self, connection: sqlite3.Connection) -> None:
        """Undo the transaction; raises nothing."""
        import sqlite3

        with suppress(sqlite3.Error):
            connection.rollback()

    def execute(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[object]) -> Any:
        """Run one statement; return a cursor."""
        import sqlite3

        try:
            return connection.execute(statement, parameters)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
                raise
            raise UniqueError(str(error)) from error

    def lock_events(self, transaction: Transaction) -> None:
        """Do nothing: SQLite has one writer at a time."""

    def lock_schema(self, transaction: Transaction) -> None:
        """Do nothing: SQLite has one writer at a time."""

    def has_table(self, transaction: Transaction, name: str) -> bool:
        """Whether there is a table with this name."""
        return bool(transaction.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    def translate(self, error: Exception) -> Exception | None:
        """Return the `StoreError` for an error of SQLite or of the file system."""
        import sqlite3

        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            # Where the disk is too full for the index of the write-ahead log, SQLite reports an I/O error.
            is_full = code == IO_ERROR and _is_full(os.path.dirname(self.location))
            remedy = REMEDIES.get(FULL if is_full else code)
        elif isinstance(error, OSError):
            remedy = REMEDIES[FULL] if error.errno == _no_space() else ANOTHER_FOLDER
        else:
            return None
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return errors.StoreError(
            f"the store {self.location} cannot be used: {reason}",
            location=self.location,
            remedy=remedy and remedy.format(path=self.location),
        )

    def _patiently(self, act: Callable[[], object]) -> None:
        """Do *act* again for as long as another connection holds the file, at most `busy_seconds`."""
        import sqlite3

        end = time.monotonic() + self._busy_seconds
        while True:
            try:
                act()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                if time.monotonic() >= end:
                    raise
            else:
                return


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what identifies a file, None where there is none or where the system has no such number."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None


def _configure(connection: sqlite3.Connection, *, has_wal: bool) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # of a new file; others keep theirs
    connection.execute(f"PRAGMA journal_mode = {'WAL' if has_wal else 'DELETE'}")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_size_limit = 16777216")


def _is_full(folder: str) -> bool:
    """Whether the disk of *folder* is too full for one index of a write-ahead log."""
    import shutil

    try:
        return shutil.disk_usage(folder).free < WAL_INDEX_SIZE
    except OSError:
        return False


def _no_space() -> int:
    import errno

    return errno.ENOSPC
