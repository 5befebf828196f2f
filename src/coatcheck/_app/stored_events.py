"""The events in the user's store: read, followed, and continued by a watch.

Guarantees:

- reading creates no store, and resumes by the number of an event;
- a watch that is continued begins after the last event that the store has of its task, whichever process stored it;
- what only a stream reports (output, logs, tools, plans) is stored once, by the first watch that reads it; the other
  events are stored with the task that shows them. The setting ``history`` holds for both;
- a message that a poll has stored is not stored again from the stream;
- a store that cannot be used never fails a watch: `StoredEvents.error` has the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._engine.reported_messages import ReportedMessages

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
        from .._runtime.config import store_location

        self._location = store_location(config)
        self._level = config.get("history") or "full"
        self._clock = clock
        self._database: Database | None = None
        self._streams: dict[TaskRef, _StoredStream] = {}
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
        stream = self._streams[ref] = _StoredStream()
        stream.read(self._log.last(PAGE_OF_TASK, subject=ref))
        if stream.latest is None:
            return None
        return msgspec.structs.replace(stream.latest, memory=stream.memory).to_cursor()

    def record(self, event: TaskEvent) -> None:
        """Store an event that only a stream reports."""
        if event.type not in STREAMED or self._level != "full" or self.error is not None:
            return
        try:
            if event.ref not in self._streams:
                self.cursor(event.ref)
            if event.id.isdecimal():  # of the stream alone: what a watch reads has cursors
                event = msgspec.structs.replace(event, id=_cursor_at(event.id))
            stream = self._streams.setdefault(event.ref, _StoredStream())
            if stream.lacks(event):
                self._log.append_new(event, after=stream.after, is_new=partial(stream.takes, event))
        except errors.CoatcheckError as error:
            self.error = error


class _StoredStream:
    """What the store has of the stream of one task: its position, and the messages that polls have stored."""

    def __init__(self) -> None:
        self.after, self.memory = 0, ""
        self.latest: SeenState | None = None
        self._number = 0
        self._messages = ReportedMessages()

    def read(self, stored: Sequence[StoredEvent]) -> None:
        """Read events of the task that were stored."""
        for each in stored:
            self.after = each.id
            state = _state_of(each.event)
            if state is None:
                continue
            self.latest, self.memory = state, state.memory or self.memory
            self._number = max(self._number, _number(state.memory))
            if each.event.type == "task.message" and not state.memory:
                self._messages.add(each.event.message.text, is_divided=True)

    def lacks(self, event: TaskEvent) -> bool:
        """Whether no event at the position of *event*, or after it, is stored."""
        state = _state_of(event)
        return state is not None and _number(state.memory) > self._number

    def takes(self, event: TaskEvent, stored: Sequence[StoredEvent]) -> bool:
        """Whether *event* is to be stored, after other processes have *stored* what they had."""
        self.read(stored)
        if not self.lacks(event):
            return False
        state = _state_of(event)
        self._number = _number(state.memory) if state else self._number
        return event.type != "task.message" or self._messages.unreported(event.message.text) != ""


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
