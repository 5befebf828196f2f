"""Every task that was seen: recorded, listed, searched and read again without the network.

Invariants:

- tasks are written by the rules of `recorder.py`;
- `HistoryEntry.is_current` follows the rule of `cache_rule.py`;
- with the level "metadata" nothing that a person or an agent wrote is stored, with "off" nothing at all;
- what is forgotten is deleted: the task, its events, and texts that no other task has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .. import errors
from .._model.states import TaskState
from .._model.tasks import Task, TaskRef
from .._values.locked_property import locked_cached_property
from .._values.value import JsonFields, Value
from .cache_rule import is_final
from .database import is_damage, reading_content_of
from .documents import Level, summary_of
from .events import EventLog, StoredEvent
from .history_queries import (
    HistoryFilter as HistoryFilter,  # noqa: PLC0414 - exported with the history
    conditions_of,
    recent_rows,
    rows_of,
)
from .location import open_database
from .submission_origins import template_of

if TYPE_CHECKING:
    from .._model.events import TaskEvent
    from .._protocol.effects import Clock
    from .._protocol.wake_source import WakeSource
    from .database import Database, Row, Transaction
    from .gates import GateStore

# How many tasks a page has by default, and how many are deleted or indexed in one transaction.
PAGE = 20
BATCH = 500
EVERYTHING = 2**62


class HistoryEntry(Value, frozen=True, kw_only=True):
    """A stored task. `is_current` is whether it has ended and nothing shows that it has changed since `recorded_at`."""

    task: Task
    recorded_at: datetime
    is_current: bool
    template: str | None = None
    template_digest: str | None = None

    _json: ClassVar[JsonFields] = {
        "task": "task object",
        "recorded_at": "when it was stored",
        "is_current": "whether it has ended and nothing shows that it has changed since",
        "template": "the prompt template that it was submitted from",
        "template_digest": "the SHA-256 of that template",
    }


class HistoryPage(Value, frozen=True, kw_only=True):
    """One page of stored tasks, the last submitted first; `cursor` requests the next one, None for the last."""

    items: tuple[HistoryEntry, ...] = ()
    cursor: str | None = None

    _json: ClassVar[JsonFields] = {"items": "history entry objects", "cursor": "what requests the next page"}


class History:
    """The tasks in the store at *location*: a folder, or the URL of a PostgreSQL database.

    *level* selects what is stored of a task: "full", "metadata" (no text), or "off". Methods block, may be called by
    several threads, and raise `StoreError` where the store cannot be used.
    """

    def __init__(self, location: str, *, level: Level = "full", clock: Clock | None = None) -> None:
        if level not in ("full", "metadata", "off"):
            raise errors.ConfigurationError(f"history is full, metadata or off, not {level!r}")
        self._location, self._clock = location, clock
        self._database: Database = open_database(location)
        self._level: Level = level
        self._time: Callable[[], float] = clock.time if clock else _time
        self.events = EventLog(self._database, time=self._time)

    @locked_cached_property
    def gates(self) -> GateStore:
        """The gates of the store."""
        from .gates import GateStore  # 2 ms, and most commands have none

        return GateStore(self._database, time=self._time)

    def record(self, task: Task, *, events: Iterable[TaskEvent] | None = None) -> bool:
        """Store what *task* shows; whether that was new.

        *events* are those that a watch has yielded since the last record. Without them they are the difference to what
        was stored before.
        """
        return bool(self._record_all([task], events))

    def record_all(self, tasks: Iterable[Task], *, key: str | None = None) -> int:
        """Store what each of *tasks* shows, in one transaction; how many were new or had changed.

        Where none was, the *key* that the command line gives names them as recorded (`unchanged.py`).
        """
        return self._record_all(tasks, None, key=key)

    def _record_all(self, tasks: Iterable[Task], events: Iterable[TaskEvent] | None, *, key: str | None = None) -> int:
        if self._level == "off":
            return 0
        from .recorder import Recorder
        from .unchanged import mark_recorded, state_of

        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            recorder = Recorder(transaction, level=self._level, now=self._time())
            count = sum([recorder.record(task, events) for task in tasks])
            state = state_of(self._location) if key and not count else None  # nobody else can write now
        if key and state:
            mark_recorded(self._location, key, state)
        return count

    def invalidate(self, ref: TaskRef) -> None:
        """Record that *ref* may have changed: a message was sent to it, or it was archived, cancelled or approved."""
        from .recorder import REQUESTED

        query = "UPDATE task SET is_stale = ?, version = version + 1 WHERE provider = ? AND id = ? AND is_stale <> ?"
        with self._database.writing(is_durable=False) as transaction:
            transaction.change(query, (REQUESTED, ref.provider, ref.id, REQUESTED))

    def get(self, ref: TaskRef) -> HistoryEntry | None:
        """Return the stored task with its prompt and its result, None where it is not stored."""
        from .snapshots import load_task

        query = "SELECT document, prompt, result, recorded_at, is_stale FROM task WHERE provider = ? AND id = ?"
        with self._database.reading() as transaction:
            for document, prompt, result, recorded_at, is_stale in transaction.rows(query, (ref.provider, ref.id)):
                with reading_content_of(str(ref)):
                    task = load_task(transaction, document, prompt, result)
                return _with_template(
                    transaction,
                    HistoryEntry(
                        task=task, recorded_at=_moment(recorded_at), is_current=not is_stale and is_final(task)
                    ),
                )
        return None

    def list(self, filter: HistoryFilter | None = None, *, limit: int = PAGE, cursor: str | None = None) -> HistoryPage:
        """Return a page of stored tasks without their results, the last submitted first.

        A task that was submitted and not observed since has the state "unknown", and the beginning of its prompt.
        *is_current* of an entry means here that nothing shows a change; only `get` checks whether the result is whole.
        """
        filter = filter or HistoryFilter()
        self._record_submitted()
        conditions, parameters = conditions_of(filter, cursor)
        if filter.text is not None:
            return self._search(filter.text, conditions, parameters, limit=limit)
        with self._database.reading() as transaction:
            return _page_of(transaction, rows_of(transaction, conditions, (*parameters, limit + 1)), limit)

    def _search(self, text: str, conditions: Sequence[str], parameters: Sequence[object], *, limit: int) -> HistoryPage:
        from .search import condition, has_index, matches, words_of

        if not words_of(text):
            raise errors.ConfigurationError(f"{text!r} has no word to search for", remedy="give a word")
        self._index_missing()
        with self._database.reading() as transaction:
            if not transaction.rows("SELECT 1 FROM task LIMIT 1"):  # the first task creates the index
                return HistoryPage()
            if has_index(transaction):
                rows = recent_rows(transaction, text, conditions, parameters, limit=limit + 1)
                if rows is None:
                    found, parameter = condition(transaction, text)
                    rows = rows_of(transaction, [*conditions, found], (*parameters, parameter, limit + 1))
            else:
                every = rows_of(transaction, conditions, (*parameters, EVERYTHING))
                rows = [row for row in every if matches(_text_of_row(transaction, row), text)]
            return _page_of(transaction, rows, limit)

    def search(
        self, text: str, filter: HistoryFilter | None = None, *, limit: int = PAGE, cursor: str | None = None
    ) -> HistoryPage:
        """Return a page of the stored tasks whose title, prompt or messages have every word of *text*.

        A word matches words that begin with it; case and diacritics do not count.
        """
        return self.list(msgspec.structs.replace(filter or HistoryFilter(), text=text), limit=limit, cursor=cursor)

    def find_refs(self, prefix: str, *, provider: str | None = None, limit: int = PAGE) -> tuple[TaskRef, ...]:
        """Return the stored tasks whose ids begin with *prefix*, in the order of their ids."""
        condition, parameters = ("", ()) if provider is None else (" AND provider = ?", (provider,))
        query = f"SELECT provider, id FROM task WHERE substr(id, 1, ?) = ?{condition} ORDER BY provider, id LIMIT ?"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (len(prefix), prefix, *parameters, limit))
        return tuple(TaskRef(*row) for row in rows)

    def forget(self, refs: Iterable[TaskRef]) -> int:
        """Delete tasks, their events and texts; how many there were. The journal keeps which tasks were submitted."""
        from .recorder import forget_task

        count = 0
        with self._database.writing() as transaction:
            transaction.lock_events()
            for ref in refs:
                count += forget_task(transaction, ref)
        return count

    def prune(self, before: datetime) -> int:
        """Delete the tasks that have ended and were last recorded before a time; how many there were."""
        query = f"SELECT provider, id FROM task WHERE recorded_at < ? AND state IN ({_ENDED}) LIMIT ?"  # noqa: S608 - ours
        count = 0
        while True:
            with self._database.reading() as transaction:
                refs = [TaskRef(*row) for row in transaction.rows(query, (before.timestamp(), BATCH))]
            if not refs:
                return count
            count += self.forget(refs)

    def prune_reviews(self, before: datetime) -> int:
        """Delete the reviews that have ended and were begun before a time; how many there were."""
        from .reviews import prune_reviews

        with self._database.writing() as transaction:
            return prune_reviews(transaction, before.timestamp())

    def export_lines(self, refs: Iterable[TaskRef] | None = None) -> Iterator[bytes]:
        """Yield each stored task with its events as a line of JSON; those of *refs* if they are given.

        Raises `ConfigurationError` for one that is not stored, and, after all others, `StoreError` for one that is damaged.
        """
        damaged = None
        for ref in self._refs() if refs is None else refs:
            try:
                line = self._line_of(ref)
            except errors.StoreError as error:
                if not is_damage(error):
                    raise
                damaged = error
            else:
                yield line
        if damaged is not None:
            raise damaged

    def _line_of(self, ref: TaskRef) -> bytes:
        from .transfer import line_of

        entry = self.get(ref)
        if entry is None:
            raise errors.ConfigurationError(
                f"{ref} is not in the history", remedy="list the recorded tasks with: coatcheck history"
            )
        return line_of(entry.task, entry.recorded_at, list(self._events_of(ref)))

    def import_lines(self, lines: Iterable[bytes]) -> int:
        """Store the tasks of *lines*, as `export_lines` yielded them; how many were new, or newer than the stored one.

        Raises `ConfigurationError` with the number of a line that cannot be read; the lines before it are stored.
        """
        from .recorder import Recorder
        from .transfer import task_of

        count = 0
        for number, line in enumerate(lines, 1):
            if line.strip() and self._level != "off":
                imported = task_of(line, number)
                with self._database.writing(is_durable=False) as transaction:
                    transaction.lock_events()
                    recorder = Recorder(transaction, level=self._level, now=imported.recorded_at)
                    count += recorder.record_imported(imported)
        return count

    def _refs(self) -> Iterator[TaskRef]:
        """Yield the ref of every stored task, in the order in which they were stored first."""
        last = 0
        while True:
            with self._database.reading() as transaction:
                rows = transaction.rows(
                    "SELECT number, provider, id FROM task WHERE number > ? ORDER BY number LIMIT ?", (last, BATCH)
                )
            for number, provider, id in rows:
                yield TaskRef(provider, id)
                last = number
            if len(rows) < BATCH:
                return

    def _events_of(self, ref: TaskRef) -> Iterator[StoredEvent]:
        last = 0
        while events := self.events.read(after=last, subject=ref):
            yield from events
            last = events[-1].id

    @locked_cached_property
    def wakes(self) -> WakeSource:
        """The webhooks that `coatcheck hooks serve` receives into this store: they end the pauses of waits."""
        import time

        from .wakes import StoreWakes

        return StoreWakes(
            self._location, time=self._time, monotonic=self._clock.monotonic if self._clock else time.monotonic
        )

    def close(self) -> None:
        """Close the database; a later call opens it again."""
        if (wakes := self.__dict__.pop("wakes", None)) is not None:
            wakes.close()
        self._database.close()

    def _record_submitted(self) -> None:
        """Record the tasks of the journal that no call has observed."""
        while self._level != "off":
            with self._database.reading() as transaction:
                if not transaction.rows(_UNRECORDED, (1,)):
                    return
            from .recorder import record_submitted  # rarely

            with self._database.writing(is_durable=False) as transaction:
                transaction.lock_events()
                record_submitted(transaction, transaction.rows(_UNRECORDED, (BATCH,)), level=self._level)

    def _index_missing(self) -> None:
        """Index what a process without an index has recorded."""
        from .search import has_index

        query = "SELECT 1 FROM task WHERE is_indexed = 0 LIMIT 1"
        while True:
            with self._database.reading() as transaction:
                if not has_index(transaction) or not transaction.rows(query):
                    return
            from .recorder import index_tasks  # rarely

            with self._database.writing(is_durable=False) as transaction:
                transaction.lock_events()
                index_tasks(transaction, BATCH)


_ENDED = ", ".join(f"'{state.value}'" for state in TaskState if state.is_terminal)
_UNRECORDED = (
    "SELECT provider, task, summary, at, environment, branch FROM submission WHERE is_recorded = 0 AND task IS NOT NULL"
    " ORDER BY at LIMIT ?"
)


def _page_of(transaction: Transaction, rows: list[Row], limit: int) -> HistoryPage:
    """Return the first of *rows* as a page; a further one shows that there is another page."""
    last = rows[limit - 1] if len(rows) > limit else None
    cursor = None if last is None else f"{last[1].hex()}/{last[0]}"
    return HistoryPage(items=tuple(_with_template(transaction, _entry(row)) for row in rows[:limit]), cursor=cursor)


def _entry(row: Row) -> HistoryEntry:
    _, _, document, _, _, at, is_stale, provider, id = row
    with reading_content_of(f"{provider}:{id}"):
        task = summary_of(document)
    return HistoryEntry(task=task, recorded_at=_moment(at), is_current=not is_stale and task.state.is_terminal)


def _text_of_row(transaction: Transaction, row: Row) -> str:
    from .snapshots import load_task, text_of

    with reading_content_of(f"{row[-2]}:{row[-1]}"):
        return text_of(load_task(transaction, *row[2:5]))


def _with_template(transaction: Transaction, entry: HistoryEntry) -> HistoryEntry:
    name, digest = template_of(transaction, entry.task.ref)
    return msgspec.structs.replace(entry, template=name, template_digest=digest) if name else entry


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _time() -> float:
    import time

    return time.time()
