"""Write snapshots of tasks into the store, each with its events, its blobs and its words.

Invariants:

- a snapshot that shows nothing new writes nothing;
- a row is changed only if it is still as it was read (`version`), and its events are in the same transaction;
- an observation that lacks the result never replaces a stored result;
- a message that the event stream of a task has reported is not stored again as its result's;
- after a request that may change a task (`History.invalidate`) a snapshot that is as before makes nothing current: the
  service may show the change some seconds later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._engine.event_diff import SeenState, changes
from .._model.events import StateEvent, TaskEvent
from .._model.tasks import Task, TaskRef, TaskState
from .._protocol.logs import WARNING, log
from .blobs import delete_unused_blobs
from .cache_rule import contradicts
from .database import DamagedError, reading_content_of
from .documents import Level, decode, encode
from .events import append_events, delete_events
from .messages import unreported_events
from .search import add_words, create_index, has_index, remove_words
from .snapshots import Snapshot, load_task, merged, store_task, text_of
from .transfer import ImportedTask

if TYPE_CHECKING:
    from .database import Row, Transaction

# Values of `is_stale`: an observation has contradicted the result; a request was sent that may change the task.
CONTRADICTED, REQUESTED = 1, 2
# What a service changes by itself when a task is read.
UNRELATED = frozenset({"is_unread"})
ROW = "SELECT number, version, recorded_at, document, seen, prompt, result, is_stale, is_indexed FROM task WHERE provider = ? AND id = ?"
UPDATE = (
    "UPDATE task SET version = version + 1, state = ?, repository = ?, recorded_at = ?, is_stale = ?, is_indexed = ?,"
    " document = ?, seen = ?, prompt = ?, result = ? WHERE number = ? AND version = ?"
)
INSERT = (
    "INSERT INTO task (provider, id, submitted_at, version, recorded_at, state, repository, is_stale, is_indexed,"
    " document, seen, prompt, result) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number"
)


RECORDED = "UPDATE submission SET is_recorded = 1 WHERE provider = ? AND task = ?"


class StoredRow(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a task, as far as recording needs it."""

    number: int
    version: int
    recorded_at: float
    document: str
    seen: str
    prompt: int | None
    result: int | None
    is_stale: int
    is_indexed: int


class Recorder:
    """Stores snapshots in one transaction, which holds the lock of events."""

    def __init__(self, transaction: Transaction, *, level: Level, now: float) -> None:
        self._transaction, self._now = transaction, now
        self._level: Level = level
        self._has_index = has_index(transaction)
        if self._has_index:
            create_index(transaction)

    def record(
        self, task: Task, events: Iterable[TaskEvent] | None = None, *, times: Sequence[float] | None = None
    ) -> bool:
        """Store what *task* shows; whether that was new. *times* are when the *events* were stored first."""
        rows = self._transaction.rows(ROW, (task.ref.provider, task.ref.id))
        row = StoredRow(**dict(zip(StoredRow.__struct_fields__, rows[0], strict=True))) if rows else None
        earlier = _stored_task(self._transaction, task.ref, row.document, row.prompt, row.result) if row else None
        current = merged(earlier, task) if earlier else task
        snapshot = store_task(self._transaction, current, level=self._level)
        is_stale = _staleness(row, earlier, task, snapshot) if row and earlier else 0
        # A task that works again shows none of the messages of the result that is stored.
        is_working = task.outcome is None and not task.state.ends_wait
        shown = msgspec.structs.replace(current, outcome=None) if is_working else current
        happened, seen = self._happened(row.seen if row else "", shown, events)
        if row and not happened and self._is_same(row, snapshot, is_stale=is_stale):
            return False
        number = self._write(row, current, snapshot, seen, is_stale=is_stale)
        self._refer(number, snapshot.blobs)
        self._index(number, row, earlier, current)
        for event, at in zip(happened, times or [self._now] * len(happened), strict=False):
            append_events(self._transaction, [event], at=at)
        return True

    def record_imported(self, imported: ImportedTask) -> bool:
        """Store a task of another store with its events, unless this one has it from the same time or later."""
        task = imported.task
        known = self._transaction.rows(
            "SELECT recorded_at FROM task WHERE provider = ? AND id = ?", (task.ref.provider, task.ref.id)
        )
        if known and known[0][0] >= imported.recorded_at:
            return False
        if known or not imported.events:
            return self.record(task)
        times, events = zip(*imported.events, strict=True)
        return self.record(task, events, times=times)

    def _is_same(self, row: StoredRow, snapshot: Snapshot, *, is_stale: int) -> bool:
        stored = (row.document, row.prompt, row.result, row.is_stale)
        return stored == (encode(snapshot.document), snapshot.prompt, snapshot.result, is_stale)

    def _happened(self, seen: str, task: Task, events: Iterable[TaskEvent] | None) -> tuple[list[TaskEvent], str]:
        """Return the events to store, and the cursor after them."""
        is_observed = events is None
        happened = (
            [event for event, _ in changes(SeenState.from_cursor(seen), task)] if events is None else list(events)
        )
        cursor = happened[-1].id if happened else seen
        if is_observed:
            happened = unreported_events(self._transaction, task, happened)
        if self._level == "metadata":
            happened = [_without_text(event) for event in happened if isinstance(event, StateEvent)]
        return happened, cursor

    def _write(self, row: StoredRow | None, task: Task, snapshot: Snapshot, seen: str, *, is_stale: int) -> int:
        state, repository = task.state.value, task.repository
        flags = (is_stale, int(self._has_index), encode(snapshot.document), seen)
        blobs = (snapshot.prompt, snapshot.result)
        if row is None:
            submitted_at = task.created_at.timestamp() if task.created_at else self._now
            key = (task.ref.provider, task.ref.id, submitted_at, self._now)
            self._transaction.change(RECORDED, (task.ref.provider, task.ref.id))
            return int(self._transaction.rows(INSERT, (*key, state, repository, *flags, *blobs))[0][0])
        values = (state, repository, self._now, *flags, *blobs, row.number, row.version)
        if self._transaction.change(UPDATE, values) != 1:
            raise errors.StoreError(f"{task.ref} was recorded by another process at the same time", remedy="try again")
        return row.number

    def _refer(self, number: int, blobs: frozenset[int]) -> None:
        """Record which blobs the task refers to; delete those that nothing refers to any more."""
        before = {each for (each,) in self._transaction.rows("SELECT blob FROM task_blob WHERE task = ?", (number,))}
        for blob in sorted(blobs - before):
            self._transaction.change("INSERT INTO task_blob (task, blob) VALUES (?, ?)", (number, blob))
        for blob in sorted(before - blobs):
            self._transaction.change("DELETE FROM task_blob WHERE task = ? AND blob = ?", (number, blob))
        delete_unused_blobs(self._transaction, before - blobs)

    def _index(self, number: int, row: StoredRow | None, earlier: Task | None, task: Task) -> None:
        if not self._has_index:
            return
        before = text_of(earlier) if earlier and row and row.is_indexed else ""
        after = text_of(task) if self._level == "full" else ""
        if before != after:
            if before:
                remove_words(self._transaction, number, before)
            add_words(self._transaction, number, after)


def _stored_task(
    transaction: Transaction, ref: TaskRef, document: str, prompt: int | None, result: int | None
) -> Task | None:
    """Return the task of a row, None where its content is damaged: the next snapshot replaces it."""
    try:
        with reading_content_of(str(ref)):
            return load_task(transaction, document, prompt, result)
    except DamagedError as error:
        log("store", WARNING, "%s", error)
        return None


def forget_task(transaction: Transaction, ref: TaskRef) -> bool:
    """Delete a task with its events and its texts; whether there was one. The journal keeps only that it was submitted."""
    from .gates import delete_gates  # 2 ms, and recording needs none

    row = transaction.row(ROW, (ref.provider, ref.id))
    blobs = delete_events(transaction, ref)
    delete_gates(transaction, str(ref))
    transaction.change(
        "UPDATE submission SET summary = '', is_recorded = 1, template = NULL, template_digest = NULL"
        " WHERE provider = ? AND task = ?",
        (ref.provider, ref.id),
    )
    if row is None:
        delete_unused_blobs(transaction, blobs)
        return False
    number, _, _, document, _, prompt, result, _, is_indexed = row
    task = _stored_task(transaction, ref, document, prompt, result)
    if task is not None and is_indexed and has_index(transaction):
        remove_words(transaction, number, text_of(task))
    blobs += [each for (each,) in transaction.rows("SELECT blob FROM task_blob WHERE task = ?", (number,))]
    transaction.change("DELETE FROM task_blob WHERE task = ?", (number,))
    transaction.change("DELETE FROM task WHERE number = ?", (number,))
    delete_unused_blobs(transaction, blobs)
    return True


def record_submitted(transaction: Transaction, rows: Iterable[Row], *, level: Level) -> None:
    """Record tasks that were submitted and never observed by a call that records."""
    for provider, id, summary, at, environment, branch in rows:
        ref, created_at = TaskRef(provider, id), datetime.fromtimestamp(at, UTC)
        transaction.change(RECORDED, (provider, id))
        if summary:  # else it was forgotten, or its journal kept none
            task = Task(ref=ref, state=TaskState.UNKNOWN, title=summary, environment=environment, branch=branch)
            Recorder(transaction, level=level, now=at).record(
                msgspec.structs.replace(task, created_at=created_at), events=()
            )


def index_tasks(transaction: Transaction, limit: int) -> None:
    """Index tasks that a process without an index has recorded, at most so many."""
    create_index(transaction)
    query = "SELECT number, provider, id, document, prompt, result FROM task WHERE is_indexed = 0 LIMIT ?"
    for number, provider, id, *columns in transaction.rows(query, (limit,)):
        task = _stored_task(transaction, TaskRef(provider, id), *columns)
        add_words(transaction, number, text_of(task) if task else "")
        transaction.change("UPDATE task SET is_indexed = 1 WHERE number = ?", (number,))


def _staleness(row: StoredRow, earlier: Task, observed: Task, snapshot: Snapshot) -> int:
    """Return `is_stale` after *observed*, which leads from the task *earlier* to *snapshot*."""
    if observed.outcome is None:
        recorded_at = datetime.fromtimestamp(row.recorded_at, UTC)
        return CONTRADICTED if contradicts(earlier, observed, recorded_at=recorded_at) else row.is_stale
    return REQUESTED if row.is_stale == REQUESTED and _is_unchanged(row, snapshot) else 0


def _is_unchanged(row: StoredRow, snapshot: Snapshot) -> bool:
    before, after = (
        {name: value for name, value in document.items() if name not in UNRELATED}
        for document in (decode(row.document), snapshot.document)
    )
    return before == after and row.result == snapshot.result


def _without_text(event: StateEvent) -> TaskEvent:
    kept = {name: getattr(event, name) for name in ("ref", "id", "at", "attempt", "state")}
    return type(event)(**kept)  # type: ignore[return-value] # every state event is a task event
