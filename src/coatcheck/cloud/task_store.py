"""Tasks, their events and tokens in SQLite; what a response reported is still there after a crash.

Invariants:
- a result is on the disk before any response reports it (WAL with ``synchronous=FULL``);
- a change of a task's state and the events that report it are one transaction (`coatcheck.cloud.task_events`);
- events are passed on after they are stored, in the order of their ids;
- a list never loads a result;
- one server uses one file; its threads share one connection under one lock.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import errors
from .._model.events import TaskEvent
from .._server.event_stream import StreamEvent
from .issued_tokens import TokenRecord, TokenState
from .models import CloudAttempt, CloudResult, CloudTask, TaskPage, TaskQuery
from .task_events import events_between

# Raised by every change of the schema; `MIGRATIONS` leads from each older version.
VERSION = 2

SCHEMA = """
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, created_at REAL NOT NULL, environment_id TEXT NOT NULL, is_archived INTEGER NOT NULL,
    title TEXT NOT NULL, document BLOB NOT NULL
);
CREATE INDEX tasks_by_time ON tasks (created_at DESC, id DESC);
CREATE TABLE results (
    attempt_id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE, document BLOB NOT NULL
);
CREATE INDEX results_by_task ON results (task_id);
CREATE TABLE tokens (digest TEXT PRIMARY KEY, kind TEXT NOT NULL, expires_at REAL NOT NULL, fate TEXT NOT NULL);
"""
# AUTOINCREMENT: an id is never used again, not even that of a deleted event.
EVENT_TABLE = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    type TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX events_by_task ON events (task_id, id);
"""
# So many of the newest events are kept; a reader whose next event is older reads the state instead.
MAX_EVENTS = 100_000

# From a version to the next one.
MIGRATIONS = {1: EVENT_TABLE}

_TASK = msgspec.json.Decoder(CloudTask)
_RESULT = msgspec.json.Decoder(CloudResult)


class StoredEvent(StreamEvent, frozen=True, kw_only=True):
    """An event of a task, with its number in the log."""

    task_id: str


class Store:
    """The tasks and tokens of a local cloud, in the file *path* (0600). It is a `coatcheck.cloud.issued_tokens.TokenStore` too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._new_events: list[StoredEvent] = []
        self.on_events: Callable[[Sequence[StoredEvent]], None] = lambda _events: None

    def open(self) -> None:
        """Open or make the file. Raises `ConfigurationError`."""
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._migrate(self._connection)
        except sqlite3.DatabaseError as error:
            self.close()
            message = f"{self._path} cannot be used: {error}"
            raise errors.ConfigurationError(
                message, remedy="give another data folder, or move this file away"
            ) from None
        except errors.ConfigurationError:
            self.close()
            raise

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} {EVENT_TABLE} PRAGMA user_version = {VERSION}; COMMIT")
        elif version in MIGRATIONS:
            connection.executescript(f"BEGIN; {MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT")
            self._migrate(connection)
        elif version != VERSION:
            message = f"{self._path} was written by another version of coatcheck"
            raise errors.ConfigurationError(message, remedy="give another data folder, or move this file away")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            assert self._connection is not None, "the store is not open"  # noqa: S101 - an error in this program
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._new_events.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            new, self._new_events = self._new_events, []
            if new:  # still under the lock, so that events are passed on in the order of their ids
                self.on_events(new)

    def _append(self, connection: sqlite3.Connection, events: Iterable[TaskEvent]) -> None:
        """Store events, and delete those that are more than `MAX_EVENTS` older."""
        for event in events:
            id = connection.execute(
                "INSERT INTO events (task_id, type, document) VALUES (?, ?, ?)",
                (event.ref.id, event.type, document := _document(event)),
            ).lastrowid
            self._new_events.append(_stored(id or 0, event.ref.id, event.type, document))
        if self._new_events:
            connection.execute("DELETE FROM events WHERE id <= ?", (self._new_events[-1].id - MAX_EVENTS,))

    def append_events(self, events: Iterable[TaskEvent]) -> None:
        """Store the events of tasks that exist; those of a task that was deleted meanwhile are left out."""
        with self._transaction() as connection:
            known = (event for event in events if _has_task(connection, event.ref.id))
            self._append(connection, known)

    def events_after(self, id: int, *, task_id: str | None = None, limit: int) -> Sequence[StoredEvent]:
        """Return the first *limit* events with larger ids, of one task or of all."""
        condition, values = ("", ()) if task_id is None else (" AND task_id = ?", (task_id,))
        query = f"SELECT id, task_id, type, document FROM events WHERE id > ?{condition} ORDER BY id LIMIT ?"  # noqa: S608 - ours
        with self._transaction() as connection:
            return [_stored(*row) for row in connection.execute(query, (id, *values, limit)).fetchall()]

    def event_bounds(self, task_id: str | None = None) -> tuple[int, int, bool]:
        """Return the ids of the oldest event that may be kept and of the newest, and whether the task has ended."""
        condition, values = ("", ()) if task_id is None else (" WHERE task_id = ?", (task_id,))
        with self._transaction() as connection:
            newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
            own = connection.execute(f"SELECT max(id) FROM events{condition}", values).fetchone()  # noqa: S608 - ours
            row = connection.execute("SELECT document FROM tasks WHERE id = ?", (task_id,)).fetchone()
        oldest = max(1, (newest[0] if newest else 0) - MAX_EVENTS + 1)
        return oldest, own[0] or 0, row is not None and _TASK.decode(row[0]).last.is_over

    def add_task(self, task: CloudTask) -> None:
        """Keep a new task."""
        with self._transaction() as connection:
            _write(connection, task)
            self._append(connection, events_between(None, task))

    def change_task(self, id: str, change: Callable[[CloudTask], CloudTask]) -> CloudTask | None:
        """Replace a task by the result of *change* in one transaction; None where there is none."""
        with self._transaction() as connection:
            row = connection.execute("SELECT document FROM tasks WHERE id = ?", (id,)).fetchone()
            if row is None:
                return None
            before = _TASK.decode(row[0])
            task = change(before)
            _write(connection, task)
            self._append(connection, events_between(before, task))
            return task

    def change_attempt(
        self, task_id: str, attempt_id: str, change: Callable[[CloudAttempt], CloudAttempt], *, now: float
    ) -> CloudTask | None:
        """Replace an attempt by the result of *change*, and keep its result where it has one."""

        def changed(task: CloudTask) -> CloudTask:
            return change_attempts(
                task, lambda attempt: change(attempt) if attempt.id == attempt_id else attempt, now=now
            )

        return self.change_task(task_id, changed)

    def get_task(self, id: str) -> CloudTask | None:
        """Return a task with its results."""
        with self._transaction() as connection:
            row = connection.execute("SELECT document FROM tasks WHERE id = ?", (id,)).fetchone()
            rows = connection.execute("SELECT attempt_id, document FROM results WHERE task_id = ?", (id,)).fetchall()
        if row is None:
            return None
        results = {attempt_id: _RESULT.decode(document) for attempt_id, document in rows}
        return _map_attempts(
            _TASK.decode(row[0]), lambda attempt: msgspec.structs.replace(attempt, result=results.get(attempt.id))
        )

    def list_tasks(self, query: TaskQuery) -> TaskPage:
        """Return a page, newest first, without results."""
        clauses, values = _where(query)
        sql = f"SELECT document FROM tasks WHERE {' AND '.join(clauses)} ORDER BY created_at DESC, id DESC LIMIT ?"  # noqa: S608 - clauses are ours
        with self._transaction() as connection:
            rows = connection.execute(sql, (*values, query.limit + 1)).fetchall()
        tasks = tuple(_TASK.decode(row[0]) for row in rows[: query.limit])
        return TaskPage(tasks=tasks, has_more=len(rows) > query.limit)

    def unfinished(self) -> Sequence[CloudTask]:
        """Return the tasks with an attempt that has not ended."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT document FROM tasks").fetchall()
        tasks = (_TASK.decode(row[0]) for row in rows)
        return [task for task in tasks if any(not attempt.is_over for attempt in task.last.attempts)]

    def delete_task(self, id: str) -> bool:
        """Delete a task and its results."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM tasks WHERE id = ?", (id,)).rowcount > 0

    def put(self, record: TokenRecord) -> None:
        """Keep a token's record."""
        values = (record.digest, record.kind, min(record.expires_at, 1e300), record.state)
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", values)

    def find(self, digest: str) -> TokenRecord | None:
        """Return the record with this digest."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT digest, kind, expires_at, fate FROM tokens WHERE digest = ?", (digest,)
            ).fetchone()
        return row and TokenRecord(digest=row[0], kind=row[1], expires_at=row[2], state=row[3])

    def replace(self, digest: str, state: TokenState) -> bool:
        """Set the state of a record, unless it is set already."""
        with self._transaction() as connection:
            done = connection.execute("UPDATE tokens SET fate = ? WHERE digest = ? AND fate = ''", (state, digest))
            return done.rowcount > 0


def _stored(id: int, task_id: str, type: str, document: str) -> StoredEvent:
    """Return an event whose document begins with its id."""
    return StoredEvent(id=id, type=type, data=f'{{"id":"{id}",{document[1:]}', task_id=task_id)


def _document(event: TaskEvent) -> str:
    """Return an event as JSON without its id, which it gets when it is stored."""
    fields = event.to_dict()
    del fields["id"]
    return msgspec.json.encode(fields).decode("utf-8", "replace")


def _has_task(connection: sqlite3.Connection, id: str) -> bool:
    return connection.execute("SELECT 1 FROM tasks WHERE id = ?", (id,)).fetchone() is not None


def change_attempts(task: CloudTask, change: Callable[[CloudAttempt], CloudAttempt], *, now: float) -> CloudTask:
    """Return *task* with every attempt changed."""
    return msgspec.structs.replace(_map_attempts(task, change), updated_at=round(now, 6))


def _map_attempts(task: CloudTask, change: Callable[[CloudAttempt], CloudAttempt]) -> CloudTask:
    rounds = (msgspec.structs.replace(round_, attempts=tuple(map(change, round_.attempts))) for round_ in task.rounds)
    return msgspec.structs.replace(task, rounds=tuple(rounds))


def _write(connection: sqlite3.Connection, task: CloudTask) -> None:
    """Write the task without its results, and those results beside it."""
    bare = _map_attempts(task, lambda attempt: msgspec.structs.replace(attempt, result=None))
    row = (task.id, task.created_at, task.environment_id, task.is_archived, task.title, msgspec.json.encode(bare))
    # not INSERT OR REPLACE: that deletes the old row, and its results with it
    connection.execute(
        "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " is_archived = excluded.is_archived, title = excluded.title, document = excluded.document",
        row,
    )
    results = (attempt for round_ in task.rounds for attempt in round_.attempts if attempt.result is not None)
    rows = [(attempt.id, task.id, msgspec.json.encode(attempt.result)) for attempt in results]
    connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)


def _where(query: TaskQuery) -> tuple[list[str], list[object]]:
    clauses, values = ["1"], list[object]()
    if query.filter != "all":
        clauses.append("is_archived = ?")
        values.append(query.filter == "archived")
    if query.environment_id is not None:
        clauses.append("environment_id = ?")
        values.append(query.environment_id)
    if query.text is not None:
        clauses.append("instr(lower(title), lower(?)) > 0")
        values.append(query.text)
    if query.before is not None:
        clauses.append("(created_at, id) < (?, ?)")
        values.extend(query.before)
    return clauses, values
