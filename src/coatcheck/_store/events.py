"""The log of events: append only, and the order of ids is the order of commits.

Invariants:

- an id grows and is never used again, not even after the newest events were deleted: a reader that has seen an id has
  seen, or can no longer see, every smaller one;
- an event that `append` returned survives the end of the process;
- an event is read back equal to what was appended; `StoredEvent.id` is its place in the log, `StoredEvent.event.id` is
  still the cursor of the service's watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from .._values.value import JsonFields, Value
from .database import reading_content_of
from .documents import decode_event, encode_event

if TYPE_CHECKING:
    from .._model.events import AnyEvent, TaskMessage
    from .._model.tasks import TaskRef
    from .._protocol.effects import Script
    from .database import Database, Row, Transaction

# How many events one read returns.
PAGE = 500
# How often a follower reads (seconds): a third of the second within which an event of another process is to be seen.
FOLLOW_SECONDS = 0.3
COLUMNS = (
    "SELECT id, at, kind, name, event.data, is_compressed, blob.data FROM event JOIN subject ON subject.number = subject"
    " LEFT JOIN blob ON blob.number = text_blob"
)
READ = f"{COLUMNS} WHERE id > ?"
LAST_OF_KIND = (
    "SELECT id FROM (SELECT id FROM event WHERE kind = ? AND id < ? ORDER BY id DESC LIMIT ?) AS last_of_kind"
)
LARGEST_ID = 2**63 - 1


class StoredEvent(Value, frozen=True, kw_only=True):
    """An event in the log. `id` is its number, which resumes reading after it; `recorded_at` is when it was stored."""

    id: int
    recorded_at: datetime
    event: AnyEvent

    _json: ClassVar[JsonFields] = {
        "id": "its number in the log, which resumes reading after it",
        "recorded_at": "when it was stored",
        "event": "event object",
    }


class EventLog:
    """The events in a database."""

    def __init__(self, database: Database, *, time: Callable[[], float]) -> None:
        self._database, self._time = database, time

    def append(self, events: Iterable[AnyEvent]) -> Sequence[int]:
        """Store *events* in one transaction; return their ids."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            return append_events(transaction, events, at=self._time())

    def append_new(self, event: AnyEvent, *, after: int, is_new: Callable[[Sequence[StoredEvent]], bool]) -> None:
        """Store *event* if *is_new* of the events about the same that are stored after the number *after*.

        No other process stores an event meanwhile.
        """
        condition, parameters = _selection(str(event.subject), "")
        query = f"{READ}{condition} ORDER BY id"
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            if is_new([_stored(row) for row in transaction.rows(query, (after, *parameters))]):
                append_events(transaction, [event], at=self._time())

    def read(
        self, *, after: int = 0, subject: TaskRef | str | None = None, family: str = "", limit: int = PAGE
    ) -> Sequence[StoredEvent]:
        """Return the events with larger ids than *after*, the oldest first; with *subject* those about it.

        *family* is what their types begin with, such as ``gate.``.
        """
        condition, parameters = _selection(subject, family)
        query = f"{READ}{condition} ORDER BY id LIMIT ?"
        with self._database.reading() as transaction:
            return [_stored(row) for row in transaction.rows(query, (after, *parameters, limit))]

    def last(self, limit: int, *, subject: TaskRef | str | None = None, family: str = "") -> Sequence[StoredEvent]:
        """Return the last *limit* events, the oldest first, selected as by `read`."""
        condition, parameters = _selection(subject, family)
        with self._database.reading() as transaction:
            rows = transaction.rows(f"{READ}{condition} ORDER BY id DESC LIMIT ?", (0, *parameters, limit))
            return [_stored(row) for row in reversed(rows)]

    def before(self, id: int | None, *, kinds: Sequence[str], limit: int) -> Sequence[StoredEvent]:
        """Return *limit* events of *kinds* before the one with this id (the last ones for None), the newest first.

        At most *limit* events of each kind are read, by the index ``event_kind``.
        """
        ids = " UNION ALL ".join([LAST_OF_KIND] * len(kinds))
        query = f"{COLUMNS} WHERE id IN ({ids}) ORDER BY id DESC LIMIT ?"
        bound = LARGEST_ID if id is None else id
        parameters = [value for kind in kinds for value in (kind, bound, limit)]
        with self._database.reading() as transaction:
            return [_stored(row) for row in transaction.rows(query, (*parameters, limit))]

    def newest_id(self) -> int:
        """Return the id of the newest event, 0 where there is none."""
        return self._edge("max")

    def oldest_id(self) -> int:
        """Return the id of the oldest event that is kept, 0 where there is none."""
        return self._edge("min")

    def _edge(self, function: str) -> int:
        with self._database.reading() as transaction:
            return transaction.rows(f"SELECT {function}(id) FROM event")[0][0] or 0  # noqa: S608 - ours

    def follow(
        self, *, after: int = 0, subject: TaskRef | str | None = None, seconds: float = FOLLOW_SECONDS
    ) -> Script[None]:
        """Emit each event with a larger id than *after* when it is stored, without end; read every *seconds*."""
        from .._protocol.effects import Call, Emit, Sleep  # 1 ms, and a list of tasks needs none

        while True:
            events: Sequence[StoredEvent] = yield Call(partial(self.read, after=after, subject=subject))
            for event in events:
                yield Emit(event)
                after = event.id
            if len(events) < PAGE:
                yield Sleep(seconds)


def append_events(transaction: Transaction, events: Iterable[AnyEvent], *, at: float) -> list[int]:
    """Store *events* in a transaction that holds the lock of events, with their deliveries; return their ids."""
    events = [*events]
    if not events:
        return []
    from .hooks import enqueue  # a list of tasks has none

    stored = [(_insert(transaction, event, at), event) for event in events]
    enqueue(transaction, stored, at=at)
    return [id for id, _ in stored]


def _insert(transaction: Transaction, event: AnyEvent, at: float) -> int:
    from .blobs import put_blob

    texts: list[int] = []

    def keep(content: bytes) -> str:
        texts.append(put_blob(transaction, content))
        return ""  # the row has its number

    statement = "INSERT INTO event (at, kind, subject, data, text_blob) VALUES (?, ?, ?, ?, ?) RETURNING id"
    data = encode_event(event, keep_text=keep)
    values = (at, event.type, _subject(transaction, event.subject), data, texts[0] if texts else None)
    return int(transaction.rows(statement, values)[0][0])


def _selection(subject: TaskRef | str | None, family: str) -> tuple[str, tuple[object, ...]]:
    """Return the condition that selects events, and its parameters."""
    conditions: list[tuple[str, tuple[object, ...]]] = []
    if subject is not None:
        conditions.append((" AND name = ?", (str(subject),)))
    if family:
        conditions.append((" AND substr(kind, 1, ?) = ?", (len(family), family)))
    return "".join(each for each, _ in conditions), tuple(value for _, values in conditions for value in values)


def _subject(transaction: Transaction, subject: str) -> int:
    """Return the number of what events are about."""
    name = (subject,)
    row = transaction.row("SELECT number FROM subject WHERE name = ?", name)
    row = row or transaction.rows("INSERT INTO subject (name) VALUES (?) RETURNING number", name)[0]
    return int(row[0])


def delete_events(transaction: Transaction, ref: TaskRef) -> list[int]:
    """Delete the events of a task in a transaction that holds the lock of events; return the blobs of their texts."""
    name = (str(ref),)
    texts = transaction.rows(
        "SELECT text_blob FROM event JOIN subject ON number = subject WHERE name = ? AND text_blob IS NOT NULL", name
    )
    transaction.change("DELETE FROM event WHERE subject IN (SELECT number FROM subject WHERE name = ?)", name)
    transaction.change("DELETE FROM subject WHERE name = ?", name)
    return [number for (number,) in texts]


def messages_of(transaction: Transaction, ref: TaskRef) -> list[TaskMessage]:
    """Return the messages of a task that are stored, in their order."""
    rows = transaction.rows(f"{COLUMNS} WHERE name = ? AND kind = 'task.message' ORDER BY id", (str(ref),))
    return [cast("TaskMessage", _stored(row).event) for row in rows]


def _stored(row: Row) -> StoredEvent:
    from .blobs import content_of

    id, at, kind, subject, data, is_compressed, text = row
    with reading_content_of(subject, is_task=kind.startswith("task.")):
        content = None if text is None else content_of(is_compressed, text)
        event = decode_event(kind, subject, bytes(data), text=content)
    return StoredEvent(id=id, recorded_at=datetime.fromtimestamp(at, UTC), event=event)
