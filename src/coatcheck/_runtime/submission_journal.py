"""The journal of submissions: one SQLite file, 0600, in the user's state folder.

SQLite because a submission's reference must be recorded by one intent only, whichever process is faster: a unique
index says so across processes, and ``synchronous=FULL`` has fsynced when a method returns. Each call opens the file
anew: it is called a few times per submission, from any thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._files.private import create_private_file, make_private_folder
from .._files.processes import is_running
from .._model.tasks import TaskRef
from .._protocol.intents import Intent

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
  id TEXT PRIMARY KEY, provider TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL, summary TEXT NOT NULL,
  environment TEXT, branch TEXT, pid INTEGER NOT NULL, task TEXT, abandoned INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS one_intent_per_task ON intents (provider, task) WHERE task IS NOT NULL;
CREATE INDEX IF NOT EXISTS open_intents ON intents (provider, at) WHERE task IS NULL AND NOT abandoned;
"""
FIELDS = ("id", "provider", "digest", "at", "summary", "environment", "branch", "pid")
# A writer waits so long for another (seconds); each write takes milliseconds.
BUSY_SECONDS = 10.0


class Submission(NamedTuple):
    """A task that was submitted from here; `summary` is the beginning of its prompt, `at` seconds since the epoch."""

    ref: TaskRef
    summary: str
    at: float
    environment: str | None
    branch: str | None


class FileJournal:
    """The journal in *directory*."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, "submissions.sqlite3")

    def begin(self, intent: Intent) -> None:
        """Write down that a submission is about to happen; one that was written down under this id before goes on."""
        with self._open() as db:
            db.execute(
                f"INSERT OR REPLACE INTO intents ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})",  # noqa: S608 - our own names
                tuple(getattr(intent, name) for name in FIELDS),
            )

    def settle(self, intent: Intent, ref: TaskRef) -> bool:
        """Write down which task came of it; False when another intent has that task already."""
        with self._open() as db:
            changed = db.execute("UPDATE OR IGNORE intents SET task = ? WHERE id = ?", (ref.id, intent.id)).rowcount
        return changed == 1

    def abandon(self, intent: Intent) -> None:
        """Write down that certainly nothing came of it."""
        with self._open() as db:
            db.execute("UPDATE intents SET abandoned = 1 WHERE id = ?", (intent.id,))

    def open_intents(self, provider: str) -> Sequence[Intent]:
        """Return the submissions of which nobody knows what came, oldest first."""
        query = (
            f"SELECT {', '.join(FIELDS)} FROM intents"  # noqa: S608 - our own names
            " WHERE provider = ? AND task IS NULL AND NOT abandoned ORDER BY at"
        )
        with self._open() as db:
            return [Intent(**dict(zip(FIELDS, row, strict=True))) for row in db.execute(query, (provider,))]

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:
        """Return those of *refs* that an intent has recorded."""
        query = "SELECT 1 FROM intents WHERE provider = ? AND task = ?"
        with self._open() as db:
            return {ref for ref in refs if db.execute(query, (ref.provider, ref.id)).fetchone()}

    def count_since(self, provider: str, since: float) -> int:
        """Return how many submissions since then may have made a task."""
        query = "SELECT count(*) FROM intents WHERE provider = ? AND at >= ? AND NOT abandoned"
        with self._open() as db:
            count: int = db.execute(query, (provider, since)).fetchone()[0]
        return count

    def latest(self, limit: int, *, provider: str | None = None, prefix: str = "") -> Sequence[Submission]:
        """Return the latest submissions that created a task, the newest first; of a provider, with ids that begin so.

        Nothing is created where there is no journal.
        """
        if not os.path.exists(self._path):
            return ()
        query = (
            "SELECT provider, task, summary, at, environment, branch FROM intents WHERE task IS NOT NULL"
            " AND (?1 IS NULL OR provider = ?1) AND substr(task, 1, ?2) = ?3 ORDER BY at DESC, rowid DESC LIMIT ?4"
        )
        with self._open() as db:
            rows = db.execute(query, (provider, len(prefix), prefix, limit)).fetchall()
        return [Submission(TaskRef(name, id), *others) for name, id, *others in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        import sqlite3  # 4 ms, and only submissions need it

        try:
            connection = self._connect()
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except (OSError, sqlite3.Error) as error:
            message = f"the journal of submissions {self._path} cannot be used: {error}"
            raise errors.ConfigurationError(message, remedy="set COATCHECK_STATE_HOME to a folder of yours") from error

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        make_private_folder(self._directory)
        create_private_file(self._path)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


class NoJournal:
    """Remembers nothing: for callers who keep their own record of what they submit."""

    def begin(self, intent: Intent) -> None:
        """Remember nothing."""

    def settle(self, intent: Intent, ref: TaskRef) -> bool:  # noqa: ARG002 - the protocol's signature
        """Say that nobody else has it."""
        return True

    def abandon(self, intent: Intent) -> None:
        """Remember nothing."""

    def open_intents(self, provider: str) -> Sequence[Intent]:  # noqa: ARG002 - the protocol's signature
        """Return nothing."""
        return ()

    def claimed(self, refs: Sequence[TaskRef]) -> set[TaskRef]:  # noqa: ARG002 - the protocol's signature
        """Return nothing."""
        return set()

    def count_since(self, provider: str, since: float) -> int:  # noqa: ARG002 - the protocol's signature
        """Count nothing."""
        return 0


def is_alive(pid: int) -> bool:
    """Whether another process with this number runs on this machine."""
    # An open intent of this process itself is what an earlier call left: a call that is under way does not ask.
    return pid != os.getpid() and is_running(pid)
