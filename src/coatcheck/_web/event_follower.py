"""Read the live events of running tasks while a page is open, from services whose streams can be continued.

Guarantees:

- what only a stream reports (messages, tools, plans, output) is stored once, whichever process reads it first;
- a task that needs input or has ended is polled at once;
- without an open page nothing is read, and `stop` ends every stream;
- at most `STREAMS` streams are open; a stream that has ended or failed is opened again after `AFTER_END` seconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import errors
from .._app.stored_events import StoredEvents
from .._model.states import TaskState
from .._store.history import HistoryFilter

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .._runtime.client import Client
    from .site import Site

LOGGER = logging.getLogger("coatcheck.web")
STREAMS = 8
AFTER_END = 30.0
# How long `stop` waits for a stream (seconds).
END_SECONDS = 2.0
# Events after which a page has to show another state.
STATES = frozenset({"task.needs_input", "task.succeeded", "task.failed", "task.cancelled"})
FOLLOWED = (TaskState.QUEUED, TaskState.RUNNING, TaskState.INPUT_REQUIRED)


class EventFollower:
    """Follows the running tasks of a site; *is_watched* is whether a page is open."""

    def __init__(self, site: Site, *, is_watched: Callable[[], bool]) -> None:
        self._site, self._is_watched = site, is_watched
        self._lock = threading.Lock()
        self._streams: dict[TaskRef, tuple[threading.Thread, Client | None]] = {}
        self._retry_at: dict[TaskRef, float] = {}

    def follow_running(self) -> None:
        """Open a stream for each running task that has none, and end all of them once no page is open."""
        if not self._is_watched() or not self._site.is_recording:
            self.stop()
            return
        found = self._site.history.list(HistoryFilter(states=FOLLOWED), limit=STREAMS)
        refs = [entry.task.ref for entry in found.items]
        with self._lock:
            self._retry_at = {ref: at for ref, at in self._retry_at.items() if ref in refs}
            due = [ref for ref in refs if self._retry_at.get(ref, 0.0) <= self._site.now]
        for ref in due:
            self._start(ref)

    def stop(self) -> None:
        """End every stream."""
        with self._lock:
            streams = list(self._streams.values())
        for _, client in streams:
            if client is not None:
                client.close()
        for thread, _ in streams:
            thread.join(END_SECONDS)

    def _start(self, ref: TaskRef) -> None:
        with self._lock:
            if ref in self._streams or len(self._streams) >= STREAMS:
                return
            thread = threading.Thread(target=self._run, args=(ref,), name=f"events of {ref}", daemon=True)
            self._streams[ref] = (thread, None)
        thread.start()

    def _run(self, ref: TaskRef) -> None:
        try:
            self._follow(ref)
        except errors.CoatcheckError as error:
            LOGGER.info("the events of %s cannot be read: %s", ref, error)
        finally:
            with self._lock:
                self._retry_at[ref] = self._site.now + AFTER_END
                self._streams.pop(ref, None)

    def _follow(self, ref: TaskRef) -> None:
        """Store the events of a task until its stream ends."""
        with self._site.client(ref.provider, refs=[ref]) as client:
            if not client.capabilities.has_resumable_stream:
                return
            with self._lock:
                self._streams[ref] = (threading.current_thread(), client)
            events = StoredEvents(self._site.config, clock=self._site.clock)
            try:
                for event in client.stream_task(ref, timeout=None, after=events.cursor(ref)):
                    events.record(event)
                    if event.type in STATES:
                        self._site.expect_change(ref)
            finally:
                events.close()
        self._site.expect_change(ref)
