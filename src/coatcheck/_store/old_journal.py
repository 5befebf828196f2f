"""The journal of versions before the store, ``submissions.sqlite3``: read into the store, never changed.

Invariants:

- every row is read; rows that are there stay, and one that was open in the store and has ended in the file has ended in
  the store;
- the file is read again when it has changed, since an older version may still be running: it still writes there, and
  what it writes is read by the next call of a newer one. It does not read what newer versions have submitted;
- the file stays where it is, so that an older version finds its submissions.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from .. import errors
from .._files.processes import host_id
from .._files.reading import open_regular_file

if TYPE_CHECKING:
    from .database import Database, Transaction

FILE = "submissions.sqlite3"
QUERY = "SELECT id, provider, digest, at, summary, environment, branch, pid, task, abandoned FROM intents"
INSERT = (
    "INSERT INTO submission (id, provider, digest, at, summary, environment, branch, pid, host, task, state)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
# An older version that is writing holds the file for milliseconds (seconds).
BUSY_SECONDS = 10.0


class OldJournal:
    """The journal that versions before the store keep in *folder*."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(os.path.abspath(folder), FILE)
        self._mark: str | None = None

    def read_into(self, database: Database) -> None:
        """Read the file into *database*, unless it is as it was when it was last read."""
        mark = _mark_of(self._path)
        if mark is None or mark == self._mark:
            return
        with database.reading() as transaction:
            is_new = transaction.rows("SELECT mark FROM old_journal WHERE path = ?", (self._key,)) != [(mark,)]
        if is_new:
            self._copy(database, mark)
        self._mark = mark

    def _copy(self, database: Database, mark: str) -> None:
        rows = self._rows()
        with database.writing() as transaction:
            for row in rows:
                _merge(transaction, *row)
            transaction.change(
                "INSERT INTO old_journal (path, mark) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET mark = excluded.mark",
                (self._key, mark),
            )

    @property
    def _key(self) -> str:
        return f"{host_id()}:{self._path}"

    def _rows(self) -> list[tuple[Any, ...]]:
        import sqlite3

        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection:
                has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'intents'").fetchall()
                return connection.execute(QUERY).fetchall() if has_table else []
        except sqlite3.Error as error:
            raise errors.StoreError(
                f"the earlier journal of submissions {self._path} cannot be read: {error}",
                location=self._path,
                remedy=f"move it away, and its open submissions are forgotten: mv {self._path} {self._path}.unread",
            ) from error


def _mark_of(path: str) -> str | None:
    """Return text that changes with each transaction, None where there is no file or nothing was ever written to it."""
    with suppress(OSError), os.fdopen(open_regular_file(path), "rb") as file:
        header = file.read(28)
        # The file change counter (https://www.sqlite.org/fileformat.html#file_change_counter).
        return f"{os.fstat(file.fileno()).st_ino} {header[24:28].hex()}" if header else None
    return None


def _merge(transaction: Transaction, id: str, *row: Any) -> None:
    """Insert a row of the file, or bring the open row with its id up to date; a task of another intent stays its."""
    *fields, task, is_abandoned = row
    provider = fields[0]
    if task is not None and transaction.rows(
        "SELECT 1 FROM submission WHERE provider = ? AND task = ? AND id <> ?", (provider, task, id)
    ):
        task, is_abandoned = None, True
    state = "settled" if task is not None else "abandoned" if is_abandoned else "open"
    transaction.change(INSERT, (id, *fields, host_id(), task, state))
    transaction.change("UPDATE submission SET task = ?, state = ? WHERE id = ? AND state = 'open'", (task, state, id))
