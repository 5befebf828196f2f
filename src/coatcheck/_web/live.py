"""Events of the store to open pages, as server-sent events.

Guarantees:

- an event that any process stores reaches each open page within `FOLLOW_SECONDS` and the time to send it;
- a page gets the events after the number in its URL (``?after=``), then those after the last that it has seen;
- the store is read only while a page is open;
- a page is sent what has changed, not what it contains: `EventSummary` has no text of a person or an agent.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from .._server.event_stream import Broadcast, EventStream, StreamEvent
from .._store.events import FOLLOW_SECONDS, PAGE
from .._webhooks.server import repeating

if TYPE_CHECKING:
    from .._server.asgi_types import Receive, Scope, Send
    from .._store.events import EventLog, StoredEvent

# The stream's events have one type for the script: EventSource would need a listener for each.
TYPE = "change"


class EventSummary(msgspec.Struct, frozen=True):
    """What an open page is sent about an event."""

    type: str
    subject: str


class StoreEvents:
    """The events of the store in the form of an event stream."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def bounds(self) -> tuple[int, int, bool]:
        """Return the ids of the oldest and the newest event; the stream never ends."""
        newest = self._log.newest_id()
        return self._log.oldest_id() or newest + 1, newest, False

    def after(self, id: int, *, limit: int) -> Sequence[StreamEvent]:
        """Return the first *limit* events with a larger id."""
        return [_stream_event(each) for each in self._log.read(after=id, limit=limit)]


class LiveEvents:
    """An ASGI application that sends events; `following` reads them for it."""

    def __init__(self, log: EventLog) -> None:
        self._log = StoreEvents(log)
        self._broadcast = Broadcast()
        self._stream = EventStream(self._log, self._broadcast)
        self._lock = threading.Lock()
        self._pages, self._position = 0, 0

    @property
    def has_readers(self) -> bool:
        """Whether a page is open."""
        return self._pages > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one page."""
        await asyncio.to_thread(self._add_page)
        try:
            await self._stream(with_position(scope), receive, send)
        finally:
            with self._lock:
                self._pages -= 1

    def _add_page(self) -> None:
        """Count a page; with the first one, reading begins after what is stored now: the page reads that itself."""
        with self._lock:
            if not self._pages:
                self._position = self._log.bounds()[1]
            self._pages += 1

    @contextmanager
    def following(self) -> Iterator[None]:
        """Send events to open pages while the block runs."""
        with repeating(self.publish_new, name="live events", seconds=FOLLOW_SECONDS):
            yield

    def end(self) -> None:
        """End the stream of each open page: the server stops."""
        self._broadcast.end()

    def publish_new(self) -> None:
        """Send what was stored since the last call."""
        with self._lock:
            position = self._position if self._pages else None
        if position is None:
            return
        events = self._log.after(position, limit=PAGE)  # without the lock, for which the event loop may wait
        with self._lock:
            self._position = max(self._position, events[-1].id) if events else self._position
        for event in events:
            self._broadcast.publish(event)


def with_position(scope: Scope) -> Scope:
    """Return a request whose ``?after=`` is its ``Last-Event-ID``, where it has none."""
    from urllib.parse import parse_qs

    after = parse_qs(scope["query_string"].decode("latin-1")).get("after", [""])[0]
    names = {name for name, _ in scope["headers"]}
    if not after or b"last-event-id" in names:
        return scope
    return {**scope, "headers": [*scope["headers"], (b"last-event-id", after.encode("latin-1", "replace"))]}


def _stream_event(stored: StoredEvent) -> StreamEvent:
    summary = EventSummary(type=stored.event.type, subject=stored.event.subject)
    return StreamEvent(id=stored.id, type=TYPE, data=msgspec.json.encode(summary).decode())
