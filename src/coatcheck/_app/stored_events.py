"""The events in the user's store: read, followed, and continued by a watch.

Guarantees:

- reading creates no store, and resumes by the number of an event;
- a watch that is continued begins after the last event that the store has of its task, whichever process stored it;
- what only a stream reports (output, logs, tools, plans) is stored by the watch that reads it, once; the other events
  are stored with the task that shows them. The setting ``history`` holds for both;
- a store that cannot be used never fails a watch: `StoredEvents.error` has the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from .. import errors

if TYPE_CHECKING:
    from .._engine.event_diff import SeenState
    from .._model.events import AnyEvent, TaskEvent
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .._runtime.config import Config
    from .._store.database import Database
    from .._store.events import EventLog, StoredEvent

# What a snapshot of a task does not show.
STREAMED = frozenset({"task.message", "task.log", "task.tool", "task.plan", "unknown"})


class StoredEvents:
    """The events of the store that *config* names. Methods block."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        from .._runtime.config import state_dir

        self._location = config.get("database") or state_dir(config.environ)
        self._level = config.get("history") or "full"
        self._clock = clock
        self._database: Database | None = None
        self._recorded: dict[TaskRef, int] = {}
        self.error: errors.CoatcheckError | None = None

    def close(self) -> None:
        """Close the store."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @property
    def _log(self) -> EventLog:
        from .._store.events import EventLog
        from .._store.location import open_database

        if self._database is None:
            self._database = open_database(self._location)
        return EventLog(self._database, time=self._clock.time)

    @property
    def _exists(self) -> bool:
        from .._store.sqlite import FILE

        return "://" in self._location or os.path.exists(os.path.join(self._location, FILE))

    def read(self, *, after: int | None, subject: TaskRef | str | None, limit: int) -> Sequence[StoredEvent]:
        """Return the first *limit* events after the number *after*; the last *limit* of all where that is None."""
        if not self._exists:
            return ()
        if after is None:
            return self._log.last(limit, subject=subject)
        return self._log.read(after=after, subject=subject, limit=limit)

    def follow(
        self, *, after: int, subject: TaskRef | str | None, sleep: Callable[[float], object]
    ) -> Iterator[StoredEvent]:
        """Yield each event after the number *after* when it is stored, without end."""
        from .._store.events import FOLLOW_SECONDS, PAGE

        while True:
            events = self._log.read(after=after, subject=subject) if self._exists else ()
            for event in events:
                yield event
                after = event.id
            if len(events) < PAGE:
                sleep(FOLLOW_SECONDS)

    def newest_id(self) -> int:
        """Return the number of the newest event, 0 where there is none."""
        return self._log.newest_id() if self._exists else 0

    def has_lost(self, after: int) -> bool:
        """Whether events after the number *after* are not kept any more."""
        return self._exists and self._log.oldest_id() > after + 1

    def cursor(self, ref: TaskRef) -> str | None:
        """Return the cursor after which a watch of *ref* continues, None where the store has no event of it."""
        if not self._exists:
            return None
        stored = self._log.last(PAGE_OF_TASK, subject=ref)
        states = [state for each in stored if (state := _state_of(each.event)) is not None]
        if not states:
            return None
        memory = next((state.memory for state in reversed(states) if state.memory), "")
        self._recorded[ref] = _number(memory)
        return msgspec.structs.replace(states[-1], memory=memory).to_cursor()

    def record(self, event: TaskEvent) -> None:
        """Store an event that only a stream reports."""
        if event.type not in STREAMED or self._level != "full" or self.error is not None:
            return
        try:
            if event.ref not in self._recorded:
                self.cursor(event.ref)
            if event.id.isdecimal():  # of the stream alone: what a watch reads has cursors
                event = msgspec.structs.replace(event, id=_cursor_at(event.id))
            state = _state_of(event)
            number = _number(state.memory) if state else 0
            if number > self._recorded.get(event.ref, 0):
                self._log.append([event])
                self._recorded[event.ref] = number
        except errors.CoatcheckError as error:
            self.error = error


# So many of the last events of a task are read for its cursor: the last one of a stream is among them.
PAGE_OF_TASK = 50


def _state_of(event: AnyEvent) -> SeenState | None:
    """Return what a watch had seen at an event, None where its id is no cursor of a watch."""
    from .._engine.event_diff import SeenState

    try:
        return SeenState.from_cursor(event.id) if event.id else None
    except errors.ConfigurationError:
        return None


def _cursor_at(position: str) -> str:
    """Return the cursor of a watch that has read the stream to *position*."""
    from .._engine.event_diff import SeenState

    return SeenState(memory=position).to_cursor()


def _number(memory: str) -> int:
    """Return the number of an event of a stream, 0 where ids are no numbers."""
    return int(memory) if memory.isascii() and memory.isdecimal() else 0
