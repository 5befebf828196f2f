"""The events of a cloud as they are stored: to the readers of a task's stream, and of the stream of all tasks.

Guarantees:

- readers get events in the order of their ids, since the store passes them on in it;
- the stream of a task ends with the event of its end; one that a follow-up continues is opened again by its readers;
- lines of output are stored together, `FLUSH_SECONDS` after the first at the latest, and before the end of their
  attempt; what cannot be stored is logged, and is in the attempt's result all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .._model.events import STATE_EVENTS, TaskEvent
from .._server.event_stream import Broadcast, EventStream, StreamEvent
from .._workspaces.command_process import log_error
from .task_store import Store, StoredEvent

# The longest time (seconds) for which a line waits to be stored.
FLUSH_SECONDS = 0.1
# So many events wait at most, and are stored at once: fewer than the queue of a reader holds. An agent that is faster
# than the disk waits for it.
MAX_WAITING = 100

END_TYPES = frozenset(kind.type for state, kind in STATE_EVENTS.items() if state.is_terminal)


class TaskLog:
    """The stored events of one task, or of all (None), as `coatcheck._server.event_stream` reads them."""

    def __init__(self, store: Store, task_id: str | None) -> None:
        self._store, self._task_id = store, task_id

    def bounds(self) -> tuple[int, int, bool]:
        """Return the ids of the oldest and of the newest event, and whether the task has ended."""
        return self._store.event_bounds(self._task_id)

    def after(self, id: int, *, limit: int) -> Sequence[StreamEvent]:
        """Return the first *limit* events with larger ids."""
        return self._store.events_after(id, task_id=self._task_id, limit=limit)


class EventFeed:
    """The event streams of a cloud, and the thread that stores what agents write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all = Broadcast()
        self._of_tasks: dict[str, Broadcast] = {}
        self._waiting: list[TaskEvent] = []
        self._changed = threading.Condition()
        self._storing = threading.Lock()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        store.on_events = self._publish

    def start(self) -> None:
        """Begin to store lines."""
        self._thread.start()

    def close(self) -> None:
        """Store what waits, and end every stream; readers come back."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._all.end()
        for broadcast in list(self._of_tasks.values()):
            broadcast.end()

    def stream(self, task_id: str | None = None) -> EventStream:
        """Return the stream of a task that exists, or of all tasks."""
        broadcast = self._all if task_id is None else self._of_tasks.setdefault(task_id, Broadcast())
        return EventStream(TaskLog(self._store, task_id), broadcast)

    def has_readers(self, task_id: str) -> bool:
        """Whether anybody reads the events of a task now."""
        own = self._of_tasks.get(task_id)
        return self._all.has_readers or (own is not None and own.has_readers)

    def end_readers(self, task_id: str) -> None:
        """End the streams of a task whose end cannot be stored yet, so that its readers request its state."""
        if broadcast := self._of_tasks.get(task_id):
            broadcast.end()

    def forget(self, task_id: str) -> None:
        """End the streams of a task that was deleted."""
        if broadcast := self._of_tasks.pop(task_id, None):
            broadcast.end()

    def add(self, events: Sequence[TaskEvent]) -> None:
        """Store *events* soon; waits where the disk is slower than the agent."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MAX_WAITING or self._is_closing)
            self._waiting += events
            self._changed.notify_all()

    def flush(self) -> None:
        """Store what waits; on return it is stored, or is logged as not stored."""
        with self._storing:
            with self._changed:
                events, self._waiting = self._waiting, []
                self._changed.notify_all()
            if events:
                try:
                    self._store.append_events(events)
                except Exception as error:  # noqa: BLE001 - a full disk, or anything else: agents work on
                    log_error(error, f"{len(events)} events of agents cannot be stored")

    def _run(self) -> None:
        while not self._is_closing:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                self._changed.wait_for(lambda: self._is_closing or len(self._waiting) >= MAX_WAITING, FLUSH_SECONDS)
            self.flush()

    def _publish(self, events: Sequence[StoredEvent]) -> None:
        for event in events:
            self._all.publish(event)
            if broadcast := self._of_tasks.get(event.task_id):
                broadcast.publish(event)
                if event.type in END_TYPES:
                    broadcast.end()
